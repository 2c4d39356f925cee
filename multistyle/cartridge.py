"""Add, remove, rename, export and import the styles of a model. Each painter is one row of its table.

A **cartridge** is one style in a small safetensors file: its row of scales and shifts, its entry in the catalogue,
facts about its training, and the fingerprint of the network it belongs to.

Every function here that edits a model returns a new `Model` and leaves the old one unchanged. The rows that stay, and
the convolutions, are the same to the bit. (Adding a style by its scales and shifts alone is section 3.4 of Dumoulin et
al., "A Learned Representation for Artistic Style", 2017; the file format is ours.)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import WeightsError, suggestion
from .hub import local_file
from .network import PHOTO, StyleNetwork
from .tensor_file import Header, Kind, Shapes, entry, read_tensors, write_tensors
from .weights import PHOTO_STYLE, Model, Style, read_style

STYLE_FILE = Kind("style file", "multistyle-cartridge", 1)


@dataclass(frozen=True)
class Cartridge:
    """One style, which can be added to any model of the same network. Raises `WeightsError` for invalid fields."""

    style: Style  # not photo
    row: Tensor  # (2 N,) of the network's table; float, finite
    fingerprint: str  # `network_fingerprint` of its network
    training: dict[str, Any] = field(default_factory=dict)  # facts for people, as JSON

    def __post_init__(self) -> None:
        _check_facts(self.style, self.fingerprint, self.training)
        check_row(self.row)


def network_fingerprint(network: StyleNetwork) -> str:
    """The SHA-256, as 64 hexadecimal digits, of the network's configuration and of all its tensors except the table."""
    digest = hashlib.sha256(json.dumps(asdict(network.config), sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        if name != "table":
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_row(row: Tensor) -> None:
    """Raise `WeightsError` unless `row` is (2 N,), floating-point and finite."""
    if not isinstance(row, Tensor) or row.ndim != 1 or not row.is_floating_point():
        got = f"{row.dtype} of shape {tuple(row.shape)}" if isinstance(row, Tensor) else type(row).__name__
        raise WeightsError(f"a style's row is a floating-point tensor of one dimension, not {got}")
    if not bool(torch.isfinite(row).all()):
        raise WeightsError("a style's row holds NaN or infinite numbers; training may have diverged")


def append_style(model: Model, style: Style, row: Tensor, training: dict[str, Any] | None = None) -> Model:
    """`model` with one more style at the end.

    style: the new style; its name must not be taken.
    row: (2 N,), its row of the table; float, finite.
    training: facts about its training, for people.

    Raises `WeightsError` if the name is taken, or the row does not fit the network.
    """
    check_new_name(model, style.name)
    check_row(row)
    table = model.network.table
    if row.shape != table.shape[1:]:
        raise WeightsError(f"a row of this network has {table.shape[1]} numbers; got shape {tuple(row.shape)}")
    rows = torch.cat([table.detach(), row.detach().to(table)[None]])
    return _rebuilt(model, [*model.catalogue, style], rows, _painters(model) | {style.name: training or {}})


def remove_style(model: Model, name: str) -> Model:
    """`model` without the style `name`. Raises `WeightsError` for photo, an unknown style, or the last painter."""
    index = _find(model, name)
    if len(model.catalogue) == 2:
        raise WeightsError(f"{name} is the only painter; a weight file keeps at least one")
    kept = [i for i in range(len(model.catalogue)) if i != index]
    painters = {key: facts for key, facts in _painters(model).items() if key != name}
    return _rebuilt(model, [model.catalogue[i] for i in kept], model.network.table.detach()[kept], painters)


def rename_style(model: Model, old: str, new: str) -> Model:
    """`model` with the style `old` named `new`. Raises `WeightsError` for photo, an unknown style, or a taken name."""
    index = _find(model, old)
    check_new_name(model, new)
    catalogue = list(model.catalogue)
    catalogue[index] = replace(catalogue[index], name=new)
    painters = {new if key == old else key: facts for key, facts in _painters(model).items()}
    return _rebuilt(model, catalogue, model.network.table.detach(), painters)


def export_style(model: Model, name: str) -> Cartridge:
    """The style `name` of `model` as a cartridge. Raises `WeightsError` for photo or an unknown style."""
    index = _find(model, name)
    row = model.network.table[index].detach().float().cpu().clone()
    return Cartridge(model.catalogue[index], row, network_fingerprint(model.network), _painters(model).get(name, {}))


def import_style(model: Model, cartridge: Cartridge) -> Model:
    """`model` with the cartridge's style appended. Raises `WeightsError` for another network, or a taken name."""
    if cartridge.fingerprint != network_fingerprint(model.network):
        raise WeightsError(
            f"the style {cartridge.style.name} was made for another network (fingerprint "
            f"{cartridge.fingerprint[:8]}, not {network_fingerprint(model.network)[:8]}); "
            "use the weights it was exported from"
        )
    return append_style(model, cartridge.style, cartridge.row, cartridge.training)


def import_files(model: Model, files: Sequence[str | Path]) -> Model:
    """`model` with the styles of cartridge files appended, in their order. Raises `WeightsError`, naming the file."""
    for file in files:
        cartridge = load_cartridge(file)
        try:
            model = import_style(model, cartridge)
        except WeightsError as error:
            raise WeightsError(f"cannot use {file}: {error}") from error
    return model


def save_cartridge(file: str | Path, cartridge: Cartridge) -> None:
    """Write `cartridge` to `file`; it appears complete or not at all. Raises `WeightsError`."""
    header = {
        "style": asdict(cartridge.style),
        "fingerprint": cartridge.fingerprint,
        "training": cartridge.training,
    }
    write_tensors(Path(file), STYLE_FILE, header, {"row": cartridge.row}, _check_contents)


def load_cartridge(file: str | Path) -> Cartridge:
    """The cartridge in `file` (a path, or hf://USER/REPOSITORY). Raises `WeightsError` as `load_weights` does."""
    (style, fingerprint, training), tensors = read_tensors(local_file(file), STYLE_FILE, _check_contents)
    return Cartridge(style, tensors["row"], fingerprint, training)


def _check_contents(header: Header, shapes: Shapes) -> tuple[Style, str, dict[str, Any]]:
    """Style, fingerprint and training in the header of a style file whose tensors have these shapes."""
    style = read_style(entry(header, "style", dict))
    fingerprint, training = entry(header, "fingerprint", str), entry(header, "training", dict)
    _check_facts(style, fingerprint, training)
    if shapes.keys() != {"row"} or len(shapes["row"]) != 1:
        raise WeightsError("it should hold one tensor, row, of one dimension")
    return style, fingerprint, training


def _check_facts(style: Style, fingerprint: str, training: dict[str, Any]) -> None:
    if style.name == PHOTO_STYLE.name:
        raise WeightsError("photo is the picture as it is, in every weight file; it cannot be a style's name")
    if not isinstance(fingerprint, str) or not re.fullmatch("[0-9a-f]{64}", fingerprint):
        raise WeightsError("the fingerprint of its network should be 64 hexadecimal digits")
    if not isinstance(training, dict):
        raise WeightsError(f"the facts about training are a JSON object, not {type(training).__name__}")


def check_new_name(model: Model, name: str) -> None:
    """Raise `WeightsError` unless `name` can be the name of another style of `model`."""
    Style(name)
    if name == PHOTO_STYLE.name:
        raise WeightsError("photo is the picture as it is, in every weight file; choose another name")
    if name in (style.name for style in model.catalogue):
        raise WeightsError(f"there is a style named {name} already; choose another name, or rename or remove that one")


def _find(model: Model, name: str) -> int:
    if name == PHOTO_STYLE.name:
        raise WeightsError("photo is the picture as it is; it cannot be removed, renamed or exported")
    if name not in model.painters:
        raise WeightsError(f"unknown style {name!r}; {suggestion(name, model.painters)}")
    return PHOTO + 1 + model.painters.index(name)


def _painters(model: Model) -> dict[str, Any]:
    return model.training.get("painters", {})


def _rebuilt(model: Model, catalogue: list[Style], table: Tensor, painters: dict[str, Any]) -> Model:
    """The same network with another table, and the facts of its training with those of these painters."""
    network = StyleNetwork(model.network.config, len(table)).to(table)
    network.load_state_dict({**model.network.state_dict(), "table": table})
    return Model(network.eval().requires_grad_(False), catalogue, {**model.training, "painters": painters})
