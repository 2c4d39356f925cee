"""A training recipe: every number of a run, with defaults, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from multistyle.errors import MultistyleError, suggestion
from multistyle.network import NetworkConfig

SHARES = ("repaint",)
POSITIVE = (
    *("style_size", "photo_size", "crop", "batch", "accumulate", "steps"),
    *("learning_rate", "clip", "preview_steps"),
)
CHOICES = {
    "schedule": ("cosine", "constant"),
    "precision": ("float32", "bfloat16"),
    "blends": ("mixed", "single"),
    "loss_network": ("vgg19", "vgg16"),
    "pooling": ("max", "average"),
    "error": ("relative", "absolute"),
}


class ConfigError(MultistyleError):
    """A recipe that cannot be read or does not make sense."""


@dataclass(frozen=True)
class TrainConfig:
    """styles: names of the pictures to learn, all of the folder when empty. style_size: longer side (px) at which a
    painting's Grams are taken; it sets the size of the strokes. photo_size: shorter side (px) a photo is decoded at,
    at most. crop: side (px) of the square training crops, a multiple of 16. batch, steps: of the optimizer; a batch
    is shared out over the processes of a run, each of which takes its share in `accumulate` parts.
    learning_rate: Adam's peak, after `warmup` steps, from which it falls to 0 along a "cosine" or stays ("constant"),
    by `schedule`; clip: largest norm of the gradient, inf for any. precision: of the network alone, losses are
    float32. blends: "mixed" over the simplex, or a "single" painter for each sample. favoured: painters drawn twice as
    often as the others. repaint: share of the steps that paint the network's own painting of the photo at half the size,
    enlarged, instead of the photo; so does the second level of a picture painted at several scales.

    The loss is content + style_weight * style + variation_weight * total variation, with the layers named, plus
    spike_weight, shift_weight, weave_weight and hatch_weight times the regularizers of those names. loss_network,
    pooling: "vgg19" or "vgg16", with "max" or "average" pooling. error: "relative" to the target or "absolute" (losses/terms.py).

    widths, blocks, stem, head, upsampling: of the network (`NetworkConfig`). channels_last: memory format; faster on
    most machines. checkpoint_minutes, preview_steps: how often state is saved and a sheet of previews drawn.
    """

    styles: tuple[str, ...] = ()
    style_size: int = 512
    photo_size: int = 300
    crop: int = 256
    batch: int = 4
    accumulate: int = 1
    steps: int = 10_000
    learning_rate: float = 2e-3
    warmup: int = 200
    schedule: str = "cosine"
    clip: float = 5.0
    precision: str = "float32"
    blends: str = "mixed"
    favoured: tuple[str, ...] = ()
    repaint: float = 0.0
    loss_network: str = "vgg19"
    pooling: str = "max"
    error: str = "relative"
    content_layer: str = "relu4_1"
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    style_weight: float = 3.0
    variation_weight: float = 1.0
    spike_weight: float = 20.0
    shift_weight: float = 20.0
    weave_weight: float = 0.2
    hatch_weight: float = 0.5
    widths: tuple[int, int, int] = (32, 64, 128)
    blocks: int = 5
    stem: int = 9
    head: int = 9
    upsampling: str = "bilinear"
    channels_last: bool = True
    seed: int = 0
    checkpoint_minutes: float = 5.0
    preview_steps: int = 500

    def __post_init__(self) -> None:
        for name in POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f'{name} is "{known[0]}" or "{known[1]}", not {getattr(self, name)!r}')
        if self.batch % self.accumulate:
            raise ConfigError(f"batch must be a multiple of accumulate ({self.accumulate}), not {self.batch}")
        if self.crop % 16 or not 32 <= self.crop <= self.photo_size:
            raise ConfigError(
                f"crop must be a multiple of 16, 32 at least, up to photo_size ({self.photo_size}), not {self.crop}"
            )
        try:
            self.network()
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def network(self) -> NetworkConfig:
        return NetworkConfig(self.widths, self.blocks, self.stem, self.head, self.upsampling)

    @classmethod
    def from_header(cls, training: dict[str, Any], file: Path) -> TrainConfig:
        """The recipe that a weight file's header tells it was made by. Raises `ConfigError` where it tells none."""
        try:
            recipe = training["config"]
            return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in recipe.items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{file} does not say by what recipe it was trained, which it takes to go on") from error

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_config(file: Path | None) -> TrainConfig:
    """The recipe in the TOML `file`, its keys the fields of `TrainConfig`; None: the defaults. Raises `ConfigError`."""
    if file is None:
        return TrainConfig()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    return TrainConfig(**{key: _checked(file, key, value) for key, value in values.items()})


def _checked(file: Path, key: str, value: Any) -> Any:
    known = {field.name: field.default for field in fields(TrainConfig)}
    if key not in known:
        raise ConfigError(f"{file}: unknown key {key!r}; {suggestion(key, known)}")
    default = known[key]
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ConfigError(f"{file}: {key} should be a {type(default).__name__}, like {default!r}, not {value!r}")
    return value
