"""Weight files: one safetensors file holds a network, its catalogue of styles and how it was trained.

The header's metadata (all strings, JSON where nested): `format` "multistyle", `format_version`, `network` (the fields
of `NetworkConfig`), `catalogue` (a list of name, title, artist, year; the first is photo), `training` (facts for
people; `painters` in it holds those of one painter, by name). The tensors are the network's state, loaded strictly.
Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .errors import WeightsError
from .files import atomic_write
from .network import PHOTO, NetworkConfig, StyleNetwork

FORMAT = "multistyle"
FORMAT_VERSION = 1
DEFAULT_NAME = "multistyle.safetensors"


@dataclass(frozen=True)
class Style:
    """One entry of a catalogue. name: letters, digits, "_" and "-", as used in a mix; the rest is for people."""

    name: str
    title: str = ""
    artist: str = ""
    year: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.name):
            raise WeightsError(f"{self.name!r} is no style name; use letters, digits, _ and - alone")


PHOTO_STYLE = Style("photo", title="the picture as it is")


@dataclass
class Model:
    """A network with the catalogue of its rows, row by row, and the facts of its training."""

    network: StyleNetwork
    catalogue: list[Style]
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [style.name for style in self.catalogue]
        if len(set(names)) != len(names) or names[PHOTO] != PHOTO_STYLE.name:
            raise WeightsError(f"a catalogue starts with photo and names no style twice, unlike {', '.join(names)}")
        if len(names) != len(self.network.table):
            raise WeightsError(f"{len(names)} styles in the catalogue, {len(self.network.table)} in the network")


def default_weights() -> Path:
    """The shipped weight file: beside the module in an installed wheel, in weights/ of a checkout otherwise."""
    here = Path(__file__).resolve().parent
    candidates = [here / "shipped" / DEFAULT_NAME, here.parent / "weights" / DEFAULT_NAME]
    for file in candidates:
        if file.is_file():
            return file
    raise WeightsError(
        f"the shipped weights are missing from {candidates[0].parent}; reinstall, or give --weights FILE"
    )


def save_weights(file: str | Path, model: Model) -> None:
    """Write `model` to `file`; it appears complete or not at all. Raises `WeightsError` where it cannot be written."""
    header = {
        "network": asdict(model.network.config),
        "catalogue": [asdict(style) for style in model.catalogue],
        "training": model.training,
    }
    write_tensors(Path(file), FORMAT, FORMAT_VERSION, header, model.network.state_dict())


def load_weights(file: str | Path | None = None) -> Model:
    """The model in `file` (None: the shipped one), float32 on the CPU, in eval mode.

    Raises `WeightsError`, in one line that says whether the file is missing, no safetensors, truncated, not ours, of a
    newer format, or inconsistent in itself.
    """
    file = Path(file) if file is not None else default_weights()
    metadata, tensors = read_tensors(file, FORMAT, FORMAT_VERSION, "weight file")
    try:
        config = json.loads(metadata["network"])
        catalogue = [Style(**entry) for entry in json.loads(metadata["catalogue"])]
        network = StyleNetwork(NetworkConfig(**config | {"widths": tuple(config["widths"])}), len(catalogue))
        network.load_state_dict(tensors)
        return Model(network.eval().requires_grad_(False), catalogue, json.loads(metadata["training"]))
    except (KeyError, TypeError, ValueError, RuntimeError, WeightsError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise WeightsError(f"{file} is inconsistent: its header does not fit its tensors ({reason})") from error


def write_tensors(file: Path, mark: str, version: int, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file with `mark` and `version` in its header, beside the entries of `header` as JSON.

    It appears complete or not at all. Raises `WeightsError` where it cannot be written.
    """
    metadata = {"format": mark, "format_version": str(version)}
    metadata |= {key: json.dumps(value, ensure_ascii=False) for key, value in header.items()}
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(file, WeightsError) as temporary:
        temporary.write_bytes(save(ready, metadata))


def read_tensors(file: Path, mark: str, version: int, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors, as float32, of a `kind` of file written by `write_tensors`. Raises `WeightsError`."""
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            _check_format(file, metadata, mark, version, kind)
            return metadata, {name: opened.get_tensor(name).float() for name in opened.keys()}
    except OSError as error:
        raise WeightsError(f"cannot read the {kind} {file}: {error.strerror or 'no such file'}") from error
    except SafetensorError as error:
        raise WeightsError(f"{file} {_damage(file)} ({error})") from error


def _check_format(file: Path, metadata: dict[str, str], mark: str, version: int, kind: str) -> None:
    found = metadata.get("format", "")
    if found != mark and found.startswith(FORMAT):
        raise WeightsError(f"{file} is one of multistyle's, but no {kind} (it is marked {found})")
    if found != mark:
        raise WeightsError(f"{file} is a safetensors file, but not one of multistyle's (no such mark in its header)")
    found = metadata.get("format_version", "")
    if found != str(version):
        newer = found.isdecimal() and int(found) > version
        advice = "upgrade multistyle to read it" if newer else "it cannot be read"
        raise WeightsError(f"{file} has format version {found or '(none)'}; known here: {version}; {advice}")


def _damage(file: Path) -> str:
    """Whether a file that cannot be opened as safetensors is a cut one, or something else altogether."""
    with file.open("rb") as opened:
        start = opened.read(9)
    if len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000:
        return "is truncated or damaged"
    return "is no safetensors file"
