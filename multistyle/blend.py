"""Mixes, as people write them, to blends: weights over the catalogue, non-negative, summing to 1."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import BlendError, suggestion
from .network import PHOTO
from .pixels import as_float

ROUNDING = 1e-3  # how far a share, or a sum of shares, may be out of range

Blend = str | Mapping[str, float] | Sequence[float] | Tensor


def parse_mix(text: str) -> dict[str, float]:
    """The weights in a text such as "starry=0.7,scream=0.3" or "starry"; a bare name has the weight 1.

    Weights may have any scale; spaces around names and numbers are ignored. Raises `BlendError` for an empty part, a
    weight that is not a number, or a style named twice.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not name:
            raise BlendError(f"a mix is NAME=WEIGHT,... or NAME, like starry=0.7,scream=0.3, not {text!r}")
        if name in shares:
            raise BlendError(f"{name} is named twice in the mix {text!r}")
        try:
            shares[name] = float(number) if equals else 1.0
        except ValueError:
            raise BlendError(f"the weight of {name} should be a number, not {number!r}") from None
    return shares


def blend_vector(blend: Blend, names: Sequence[str]) -> Tensor:
    """Convert a blend of any form to weights (S,), or (B, S) or (S, h, w) if it is a tensor of that shape.

    They are float32, on the CPU.

    blend: a text as in `parse_mix`; a mapping from style names to weights; S numbers in the catalogue's order; a
    tensor (S,) or (B, S); or a blend field, a tensor (S, h, w). Weights are non-negative and finite, in any scale.
    names: the names of the catalogue's S styles.

    The shares are the weights divided by their sum. Raises `BlendError`.
    """
    if isinstance(blend, str):
        blend = parse_mix(blend)
    if isinstance(blend, Mapping):
        for name in blend:
            if name not in names:
                raise BlendError(f"unknown style {name!r}; {suggestion(str(name), names)}")
        blend = [blend.get(name, 0.0) for name in names]
    try:
        if isinstance(blend, Tensor) and blend.is_complex():
            raise TypeError("complex")
        numbers = blend.detach().cpu() if isinstance(blend, Tensor) else blend
        weights = torch.as_tensor(numbers, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        shown = " ".join(reprlib.repr(blend).split())
        raise BlendError(f"a blend is a mix, a mapping or {len(names)} numbers, not {shown}") from None
    styles = style_axis(weights)
    if weights.ndim not in (1, 2, 3) or weights.shape[styles] != len(names) or weights.numel() == 0:
        raise BlendError(f"a blend has {len(names)} weights, one for each style; got shape {tuple(weights.shape)}")
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
        wrong = next(value for value in weights.flatten().tolist() if not (math.isfinite(value) and value >= 0))
        raise BlendError(f"weights are finite and not negative; got {wrong:g}")
    largest = weights.amax(styles, keepdim=True)
    if bool((largest == 0).any()):
        raise BlendError("all weights are zero; give at least one style a weight above 0")
    weights = weights / largest  # so that the sum of very large weights is finite too
    return (weights / weights.sum(styles, keepdim=True)).float()


def style_axis(blend: Tensor) -> int:
    """The axis of the styles: the first of a field (S, h, w), the last of (S,) and (B, S)."""
    return 0 if blend.ndim == 3 else -1


def with_strength(blend: Tensor, strength: float) -> Tensor:
    """Reduce a blend or blend field to a strength in [0, 1]; the rest goes to photo. Raises `BlendError`."""
    strength = check_strength(strength)
    blend = strength * blend
    blend.select(style_axis(blend), PHOTO).add_(1 - strength)
    return blend


def check_strength(strength: float) -> float:
    """`strength` as a number. Raises `BlendError` unless it is one in [0, 1]."""
    try:
        number = float(strength)
    except (TypeError, ValueError):
        raise BlendError(f"a strength is a number between 0 and 1, not {strength!r}") from None
    if not 0 <= number <= 1:
        raise BlendError(f"a strength is between 0 and 1, not {number:g}")
    return number


@dataclass(frozen=True)
class Regions:
    """Regions of a picture, each with its own blend: a blend field that is computed part by part.

    Where masks add up to more than 1, regions share the pixel. Raises `BlendError` for invalid fields.
    """

    masks: Sequence[Tensor]  # one (h, w) for each region, of any size; uint8, or float in [0, 1]
    blends: Sequence[Tensor]  # one (S,) for each region, non-negative, summing to 1, from `blend_vector`
    rest: Tensor  # (S,), the blend outside all regions

    def __post_init__(self) -> None:
        if len(self.masks) == 0 or len(self.masks) != len(self.blends):
            raise BlendError(
                f"regions have at least one mask, and a blend for each; got {len(self.masks)} and {len(self.blends)}"
            )
        for mask in self.masks:
            check_mask(mask)
        for blend in (*self.blends, self.rest):
            _check_blend(blend)
            if blend.shape != self.rest.shape:
                raise BlendError(f"blends of regions are over the same styles; got {len(blend)} and {len(self.rest)}")

    def size(self) -> tuple[int, int]:
        """Height and width in px of the masks, once they are fitted to a picture."""
        height, width = self.masks[0].shape
        return height, width

    def fitted(self, height: int, width: int) -> Regions:
        """The same regions with masks (height, width)."""
        size = (height, width)
        masks = [mask if mask.dtype == torch.uint8 else mask.float() for mask in self.masks]
        fitted = [
            mask if mask.shape == size else F.interpolate(mask[None, None], size, mode="bilinear", antialias=True)[0, 0]
            for mask in masks
        ]
        return Regions(fitted, self.blends, self.rest)

    def field(self, rows: Tensor | slice = slice(None), columns: Tensor | slice = slice(None)) -> Tensor:
        """The blend field (S, h, w), whole or for some rows and columns. All masks must have the same size."""
        return torch.einsum("rhw,rs->shw", self.claims(rows, columns), torch.stack([*self.blends, self.rest]))

    def claims(self, rows: Tensor | slice = slice(None), columns: Tensor | slice = slice(None)) -> Tensor:
        """The share of each region in each pixel, then the share of the rest: (R + 1, h, w), summing to 1."""
        parts = [mask[rows][:, columns] for mask in self.masks]
        claims = torch.stack([as_float(part) for part in parts])
        claimed = claims.sum(0, keepdim=True)
        return torch.cat([claims / claimed.clamp_min(1), (1 - claimed).clamp_min(0)])


def check_mask(mask: Tensor) -> None:
    """Raise `BlendError` unless `mask` is (h, w), uint8, or float in [0, 1]."""
    expected = "a region's mask is a tensor (h, w), uint8, or float in [0, 1]"
    if not isinstance(mask, Tensor) or not (mask.dtype == torch.uint8 or mask.is_floating_point()):
        raise BlendError(f"{expected}; got {getattr(mask, 'dtype', type(mask).__name__)}")
    if mask.ndim != 2 or mask.numel() == 0:
        raise BlendError(f"{expected}; got shape {tuple(mask.shape)}")
    if mask.dtype != torch.uint8:
        low, high = (float(value) for value in mask.aminmax())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise BlendError(f"{expected}; got values from {low:g} to {high:g}")


def _check_blend(blend: Tensor) -> None:
    expected = "a region's blend is a float tensor (S,), non-negative, summing to 1"
    if not isinstance(blend, Tensor) or not blend.is_floating_point():
        raise BlendError(f"{expected}; got {getattr(blend, 'dtype', type(blend).__name__)}")
    if blend.ndim != 1 or len(blend) == 0:
        raise BlendError(f"{expected}; got shape {tuple(blend.shape)}")
    if not (bool((blend >= 0).all()) and abs(float(blend.double().sum()) - 1) < ROUNDING):
        raise BlendError(f"{expected}; got the sum {float(blend.sum()):g}, least {float(blend.min()):g}")


def is_constant(field: Tensor) -> bool:
    """Whether a field (S, h, w) is one blend everywhere."""
    return bool((field == field[:, :1, :1]).all())


def mix_text(blend: Tensor, names: Sequence[str]) -> str:
    """`blend` (S,) as a mix, largest share first, to three digits: "starry=0.7,scream=0.3"."""
    parts = [(float(share), name) for share, name in zip(blend, names, strict=True) if share > 0]
    return ",".join(f"{name}={share:.3g}" for share, name in sorted(parts, key=lambda part: -part[0]))
