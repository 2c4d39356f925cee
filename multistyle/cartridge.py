"""Styles that come, go and travel: the table's rows are all that tells one painter from another.

A **cartridge** is one style in a small safetensors file: its row of scales and shifts, its entry in the catalogue, the
facts of its training, and the fingerprint of the convolutions it was made for, without which the row means nothing.

Every function here returns a new `Model` and leaves the one it was given as it is; the rows that stay, and the
convolutions, are the same to the bit. (Adding a style by its scales and shifts alone is section 3.4 of Dumoulin et al.,
"A Learned Representation for Artistic Style", 2017; the file is ours.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import WeightsError, suggestion
from .network import PHOTO, StyleNetwork
from .weights import PHOTO_STYLE, Model, Style, read_tensors, write_tensors

FORMAT = "multistyle-cartridge"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Cartridge:
    """One style: its entry, its row (2 N,) of the table, its network's `fingerprint`, the facts of its training."""

    style: Style
    row: Tensor
    fingerprint: str
    training: dict[str, Any] = field(default_factory=dict)


def network_fingerprint(network: StyleNetwork) -> str:
    """64 hexadecimal digits that tell networks apart: the SHA-256 of the configuration and of all but the table."""
    digest = hashlib.sha256(json.dumps(asdict(network.config), sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        if name != "table":
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def append_style(model: Model, style: Style, row: Tensor, training: dict[str, Any] | None = None) -> Model:
    """`model` with one more style, the last, whose row of the table is `row` (2 N,); training: facts about it.

    Raises `WeightsError` where the name is taken, or the row of another length.
    """
    check_new_name(model, style.name)
    table = model.network.table
    if row.shape != table.shape[1:]:
        raise WeightsError(f"a row of this network has {table.shape[1]} numbers; got shape {tuple(row.shape)}")
    rows = torch.cat([table.detach(), row.detach().to(table)[None]])
    return _rebuilt(model, [*model.catalogue, style], rows, _painters(model) | {style.name: training or {}})


def remove_style(model: Model, name: str) -> Model:
    """`model` without the style `name`. Raises `WeightsError` for photo, an unknown style, or the last painter."""
    index = _find(model, name)
    if len(model.catalogue) == 2:
        raise WeightsError(f"{name} is the only painter there is; a weight file keeps at least one")
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
            f"{cartridge.fingerprint[:8]}, not {network_fingerprint(model.network)[:8]}); use the weights it was exported from"
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
    write_tensors(Path(file), FORMAT, FORMAT_VERSION, header, {"row": cartridge.row})


def load_cartridge(file: str | Path) -> Cartridge:
    """The cartridge in `file`. Raises `WeightsError`, in one line, as `load_weights` does."""
    metadata, tensors = read_tensors(Path(file), FORMAT, FORMAT_VERSION, "style file")
    try:
        style = Style(**json.loads(metadata["style"]))
        row = tensors["row"]
        if row.ndim != 1 or len(tensors) != 1 or style.name == PHOTO_STYLE.name:
            raise ValueError(f"{len(tensors)} tensors, a row of shape {tuple(row.shape)}, the name {style.name}")
        return Cartridge(style, row, json.loads(metadata["fingerprint"]), json.loads(metadata["training"]))
    except (KeyError, TypeError, ValueError, WeightsError) as error:
        raise WeightsError(f"{file} is inconsistent: it should hold one row and its header ({error})") from error


def check_new_name(model: Model, name: str) -> None:
    """Raise `WeightsError` unless a style of `model` could be named `name` from now on."""
    Style(name)
    if name == PHOTO_STYLE.name:
        raise WeightsError("photo is the picture as it is, in every weight file; choose another name")
    if name in (style.name for style in model.catalogue):
        raise WeightsError(f"there is a style named {name} already; choose another name, or rename or remove that one")


def _find(model: Model, name: str) -> int:
    names = [style.name for style in model.catalogue]
    if name not in names:
        raise WeightsError(f"unknown style {name!r}; {suggestion(name, names[PHOTO + 1 :])}")
    if name == PHOTO_STYLE.name:
        raise WeightsError("photo is the picture as it is; it cannot be removed, renamed or exported")
    return names.index(name)


def _painters(model: Model) -> dict[str, Any]:
    return model.training.get("painters", {})


def _rebuilt(model: Model, catalogue: list[Style], table: Tensor, painters: dict[str, Any]) -> Model:
    """The same network over another table; the facts of its training with other ones of each painter."""
    network = StyleNetwork(model.network.config, len(table)).to(table)
    network.load_state_dict({**model.network.state_dict(), "table": table})
    return Model(network.eval().requires_grad_(False), catalogue, {**model.training, "painters": painters})
