"""Weight files: one safetensors file holds a network, its catalogue of styles and how it was trained.

The header's metadata (all strings, JSON where nested): `format` "multistyle", `format_version`, `network` (the fields
of `NetworkConfig`), `catalogue` (a list of name, title, artist, year; the first is photo), `training` (facts for
people; `painters` in it holds those of one painter, by name). The tensors are the network's state: float, finite, of
exactly the names and shapes that the header implies.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from .errors import WeightsError
from .hub import local_file
from .network import PHOTO, NetworkConfig, StyleNetwork
from .tensor_file import Header, Kind, Shapes, entry, read_tensors, write_tensors

WEIGHT_FILE = Kind("weight file", "multistyle", 1)
DEFAULT_NAME = "multistyle.safetensors"
LONGEST = 500  # characters in a style's name, title, artist or year
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's control characters, surrogates and line breaks


@dataclass(frozen=True)
class Style:
    """One entry of a catalogue. Raises `WeightsError` for fields that are not text of one line, or too long."""

    name: str  # letters, digits, "_" and "-", as used in a mix
    title: str = ""  # of the painting; for people, as the fields below
    artist: str = ""
    year: str = ""  # may be "c. 1831"

    def __post_init__(self) -> None:
        for part in fields(self):
            text = getattr(self, part.name)
            if not isinstance(text, str):
                raise WeightsError(f"the {part.name} of a style is text, not {type(text).__name__}")
            if len(text) > LONGEST:
                raise WeightsError(f"the {part.name} of a style has at most {LONGEST} characters, not {len(text)}")
            if any(unicodedata.category(char) in UNPRINTABLE for char in text):
                raise WeightsError(f"the {part.name} of a style is one line without control characters, not {text!r}")
        if not re.fullmatch(r"[\w-]+", self.name):
            raise WeightsError(f"{self.name!r} is not a style name; use only letters, digits, _ and -")


PHOTO_STYLE = Style("photo", title="the picture as it is")


@dataclass
class Model:
    """A network and what is known about it. Raises `WeightsError` if the parts do not fit each other."""

    network: StyleNetwork
    catalogue: list[Style]  # one style for each row of the network's table, in that order; the first is photo
    training: dict[str, Any] = field(default_factory=dict)  # facts for people, as JSON; see `check_training`

    def __post_init__(self) -> None:
        check_catalogue(self.catalogue)
        check_training(self.training)
        if len(self.catalogue) != len(self.network.table):
            raise WeightsError(
                f"{len(self.catalogue)} styles in the catalogue do not fit the network's {len(self.network.table)} rows"
            )

    @property
    def painters(self) -> list[str]:
        """The names of all styles but photo, in the order of the catalogue."""
        return [style.name for style in self.catalogue[PHOTO + 1 :]]


def check_catalogue(catalogue: list[Style]) -> None:
    """Raise `WeightsError` unless a catalogue has photo first, at least one painter, and no name twice."""
    names = [style.name for style in catalogue]
    if names[PHOTO : PHOTO + 1] != [PHOTO_STYLE.name]:
        raise WeightsError(f"a catalogue starts with photo, not with {names[PHOTO] if names else 'nothing'}")
    if len(names) == 1:
        raise WeightsError("a catalogue has at least one painter beside photo")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise WeightsError(f"the style {name} is in the catalogue {count} times")


def check_training(training: Any) -> None:
    """Raise `WeightsError` unless `training` is a dict, and `painters` in it, if any, a dict of dicts."""
    if not isinstance(training, dict):
        raise WeightsError(f"the facts about training are a JSON object, not {type(training).__name__}")
    painters = training.get("painters", {})
    if not isinstance(painters, dict) or not all(isinstance(facts, dict) for facts in painters.values()):
        raise WeightsError("`painters` in the facts about training is a JSON object of objects, one for each painter")


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
    """Write `model` to `file`; it appears complete or not at all.

    Raises `WeightsError` for a model that `load_weights` would refuse, and where the file cannot be written.
    """
    header = {
        "network": asdict(model.network.config),
        "catalogue": [asdict(style) for style in model.catalogue],
        "training": model.training,
    }
    write_tensors(Path(file), WEIGHT_FILE, header, model.network.state_dict(), _check_contents)


def load_weights(file: str | Path | None = None) -> Model:
    """The model in `file` (a path, or hf://USER/REPOSITORY; None: the shipped one), float32 on the CPU, in eval mode.

    Nothing is built before the header has been checked against the tensors. Raises `WeightsError`, in one line that
    says what is wrong: the file is missing, is not a regular file or not a safetensors file, is truncated, of another
    kind or a newer format, contains NaN, or does not fit its own header.
    """
    file = local_file(file) if file is not None else default_weights()
    (config, catalogue, training), tensors = read_tensors(file, WEIGHT_FILE, _check_contents)
    network = StyleNetwork(config, len(catalogue))
    network.load_state_dict(tensors)
    return Model(network.eval().requires_grad_(False), catalogue, training)


def read_style(found: Any) -> Style:
    """The style that an object of a header describes. Raises `WeightsError`."""
    known = {part.name for part in fields(Style)}
    if not isinstance(found, dict) or "name" not in found or not found.keys() <= known:
        raise WeightsError(f"a style in its header should be a JSON object of {', '.join(sorted(known))}")
    return Style(**found)


def _check_contents(header: Header, shapes: Shapes) -> tuple[NetworkConfig, list[Style], dict[str, Any]]:
    """Network, catalogue and training in the header of a weight file whose tensors have these shapes."""
    catalogue = [read_style(found) for found in entry(header, "catalogue", list)]
    check_catalogue(catalogue)
    training = entry(header, "training", dict)
    check_training(training)
    config = _read_config(entry(header, "network", dict))
    _check_shapes(config, len(catalogue), shapes)
    return config, catalogue, training


def _read_config(found: dict[str, Any]) -> NetworkConfig:
    """The network's shape; fields that an older file lacks have their defaults."""
    types = {part.name: type(part.default) for part in fields(NetworkConfig)}
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
    for key, value in values.items():
        if key not in types:
            raise WeightsError(f"the network in its header has an unknown field {key[:LONGEST]!r}")
        numbers = value if isinstance(value, tuple) else ()
        if type(value) is not types[key] or any(type(number) is not int for number in numbers):
            raise WeightsError(f"{key} of the network in its header has the wrong type")
    try:
        return NetworkConfig(**values)
    except ValueError as error:
        raise WeightsError(str(error)) from error


def _check_shapes(config: NetworkConfig, styles: int, shapes: Shapes) -> None:
    """Raise `WeightsError` unless the state of such a network has these shapes. Allocates no tensors."""
    if 2 * config.blocks > len(shapes):
        raise WeightsError(f"{config.blocks} blocks in its header do not fit {len(shapes)} tensors")
    try:
        with torch.device("meta"):
            state = StyleNetwork(config, styles).state_dict()
    except (RuntimeError, TypeError, OverflowError) as error:  # sizes beyond 64 bits
        raise WeightsError("the network in its header is larger than any file") from error
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if name not in shapes:
            raise WeightsError(f"the tensor {name} is missing")
        if name not in expected:
            raise WeightsError(f"the tensor {name[:LONGEST]!r} does not belong to the network in its header")
        if shapes[name] != expected[name]:
            raise WeightsError(f"the tensor {name} has the shape {shapes[name]}, its header implies {expected[name]}")
