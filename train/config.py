"""A training recipe: every number of a run, with defaults, read from TOML."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from multistyle.errors import MultistyleError, suggestion
from multistyle.files import check_input
from multistyle.network import NetworkConfig

RANGES: dict[str, tuple[float, float]] = {  # smallest and largest value of a field
    "style_size": (16, 16_384),
    "photo_size": (32, 16_384),
    "crop": (32, 16_384),
    "batch": (1, 65_536),
    "accumulate": (1, 65_536),
    "steps": (1, 10**12),
    "warmup": (0, 10**12),
    "repaint": (0, 1),
    "style_weight": (0, 1e12),
    "variation_weight": (0, 1e12),
    "spike_weight": (0, 1e12),
    "shift_weight": (0, 1e12),
    "weave_weight": (0, 1e12),
    "hatch_weight": (0, 1e12),
    "seed": (0, 2**32 - 1),
    "checkpoint_minutes": (0, 1e6),
    "preview_steps": (1, 10**12),
}
POSITIVE = {"learning_rate": 1e3, "clip": math.inf}  # largest value of a field that must be above 0
CHOICES = {
    "schedule": ("cosine", "constant"),
    "precision": ("float32", "bfloat16"),
    "loss_precision": ("float32", "bfloat16"),
    "blends": ("mixed", "single"),
    "loss_network": ("vgg19", "vgg16"),
    "pooling": ("max", "average"),
    "error": ("relative", "absolute"),
}
TYPES = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


class ConfigError(MultistyleError):
    """A recipe that cannot be read or does not make sense."""


@dataclass(frozen=True)
class TrainConfig:
    """A recipe. Raises `ConfigError` for a field of the wrong type or out of its range.

    The loss of a step is content + style_weight * style + variation_weight * total variation, plus the other four
    weights times the regularizers they are named after (losses/regularizers.py).
    """

    styles: tuple[str, ...] = ()  # names of the paintings to learn; empty: all in the folder
    style_size: int = 512  # px, longer side at which a painting's Grams are taken; it sets the size of the strokes
    photo_size: int = 300  # px, largest shorter side at which photos are kept
    crop: int = 256  # px, side of the square training crops; a multiple of 16
    batch: int = 4  # crops in a step of the optimizer, over all processes together
    accumulate: int = 1  # parts in which each process takes its share of a batch, to save memory
    steps: int = 10_000  # steps of the optimizer
    learning_rate: float = 2e-3  # Adam's, at its highest
    warmup: int = 200  # steps in which the learning rate rises to its highest
    schedule: str = "cosine"  # what the learning rate does then: fall to 0 along a "cosine", or stay "constant"
    clip: float = 5.0  # largest norm of the gradient; inf: no limit
    precision: str = "float32"  # of the style network, or "bfloat16"
    loss_precision: str = "float32"  # of the loss network in training, or "bfloat16"; Grams are always float32
    blends: str = "mixed"  # what is drawn for each crop: any blend, or "single", one painter alone
    favoured: tuple[str, ...] = ()  # painters drawn twice as often as the others
    repaint: float = 0.0  # share of steps that paint the network's own half-size painting, enlarged, not the photo
    loss_network: str = "vgg19"  # or "vgg16"
    pooling: str = "max"  # of the loss network, or "average"
    error: str = "relative"  # of content and style: "relative" to the target, or "absolute" (losses/terms.py)
    content_layer: str = "relu4_1"  # of the loss network
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # of the loss network
    style_weight: float = 3.0
    variation_weight: float = 1.0
    spike_weight: float = 20.0  # against huge single activations
    shift_weight: float = 20.0  # against changes by a shift of the photo, and by noise
    weave_weight: float = 0.2  # against patterns that repeat every 4 px
    hatch_weight: float = 0.5  # against fine lines of any frequency
    widths: tuple[int, ...] = (32, 64, 128)  # of the network, as are the next four (`NetworkConfig`)
    blocks: int = 5
    stem: int = 9
    head: int = 9
    upsampling: str = "bilinear"
    channels_last: bool = True  # memory format; faster on most machines
    seed: int = 0  # of everything that is drawn
    checkpoint_minutes: float = 5.0  # time between two saves
    preview_steps: int = 500  # steps between two sheets of previews

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), field.default)
        for name, (least, most) in RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be from {least:g} to {most:g}, not {_shown(getattr(self, name))}")
        for name, most in POSITIVE.items():
            if not 0 < getattr(self, name) <= most:
                raise ConfigError(f"{name} must be above 0 and at most {most:g}, not {_shown(getattr(self, name))}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f'{name} is "{known[0]}" or "{known[1]}", not {getattr(self, name)!r}')
        if not self.style_layers:
            raise ConfigError('style_layers must name at least one layer, such as "relu3_1"')
        if self.batch % self.accumulate:
            raise ConfigError(f"batch must be a multiple of accumulate ({self.accumulate}), not {self.batch}")
        if self.crop % 16 or self.crop > self.photo_size:
            raise ConfigError(
                f"crop must be a multiple of 16 and at most photo_size ({self.photo_size}), not {self.crop}"
            )
        try:
            self.network()
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def network(self) -> NetworkConfig:
        """The shape of the network."""
        return NetworkConfig(
            self.widths,  # type: ignore[arg-type]  # it checks how many there are
            self.blocks,
            self.stem,
            self.head,
            self.upsampling,
        )

    @classmethod
    def from_header(cls, training: dict[str, Any], file: Path) -> TrainConfig:
        """The recipe in a weight file's header, `training`. Raises `ConfigError`, naming `file`, if there is none."""
        recipe = training.get("config") if isinstance(training, dict) else None
        if not isinstance(recipe, dict) or not recipe.keys() <= {field.name for field in fields(cls)}:
            raise ConfigError(f"{file} does not contain the recipe it was trained with, which is needed here")
        try:
            return _recipe_of(recipe)
        except ConfigError as error:
            raise ConfigError(f"the recipe in the header of {file} is invalid: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def read_config(file: Path | None) -> TrainConfig:
    """The recipe in the TOML `file`, its keys the fields of `TrainConfig`; None: the defaults. Raises `ConfigError`."""
    if file is None:
        return TrainConfig()
    check_input(file, ConfigError)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the recipe {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # tomllib lets errors of int() and of datetime through
        raise ConfigError(f"{file} is not TOML: {' '.join(str(error).split())}") from error
    known = [field.name for field in fields(TrainConfig)]
    for key in values:
        if key not in known:
            raise ConfigError(f"{file}: unknown key {key!r}; {suggestion(key, known)}")
    try:
        return _recipe_of(values)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _recipe_of(values: dict[str, Any]) -> TrainConfig:
    """The recipe with these fields, lists taken for tuples. Raises `ConfigError`."""
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return TrainConfig(**given)


def _check_type(name: str, value: Any, default: Any) -> None:
    """Raise `ConfigError` unless `value` has the type of the field's `default`; an integer is a number too."""
    if isinstance(default, tuple):
        kind = str if name != "widths" else int
        if isinstance(value, tuple) and all(type(entry) is kind for entry in value):
            return
        wanted = "a list of " + ("strings" if kind is str else "integers")
    else:
        kind = type(default)
        if type(value) is kind or (kind is float and type(value) is int):
            return
        wanted = TYPES[kind]
    raise ConfigError(f"{name} must be {wanted}, not {_shown(value)}")


def _shown(value: Any) -> str:
    """`value` as TOML has it, as far as a line can show it."""
    try:
        return f"{list(value) if isinstance(value, tuple) else value!r:.80}"
    except ValueError:  # an integer of more digits than Python converts
        return "a number of thousands of digits"
