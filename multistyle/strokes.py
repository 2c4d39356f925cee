"""Strokes of a chosen size: the picture is painted at several scales, from coarse to fine.

One pass paints strokes of a fixed size in pixels, as in a painting at 512 px. A large picture is therefore halved until
one pass paints strokes that are large enough. Its painting is doubled, mixed with the photo, so that faces stay faces,
and painted once more, which makes edges crisp; and so on up to the picture's size. Changes of a finer level in the
coarse frequencies are undone, so that colours and large strokes stay as in the coarse painting. (Ours. Large strokes
from coarse-to-fine optimization are in Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer".)

The **depth** says how often a picture is halved: log2 of its longer side over that of the coarsest painting. It is a
real number, so that the size of strokes is a dial without steps: as the depth goes from 0 to 1, the finest level turns
from a painting of the photo into one of the mixture. It may differ from place to place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from .errors import MultistyleError
from .network import PHOTO
from .one_pass import Carry, OnePass

BASE = 800  # px, longer side of the coarsest painting at a stroke of 1
PHOTO_IN_SOURCE = 0.5  # how much of what a finer level paints is the photo; the rest is the doubled coarse painting
OWN_IN_RESULT = 0.8  # how much of a finer level's result is its own painting; the rest is what it painted
BROADEST = 8.0

Stroke = str | float


def stroke_number(stroke: Stroke) -> float:
    """Convert a stroke, as people give it, to a number: 1 for "auto", 0 for "off". Raises `MultistyleError`."""
    named = {"auto": 1.0, "off": 0.0}
    try:
        number = named[stroke] if isinstance(stroke, str) and stroke in named else float(stroke)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= BROADEST:
        raise MultistyleError(f"a stroke is auto, off, or a number up to {BROADEST:g}, not {stroke!r}")
    return number


def split_stroke(text: str) -> tuple[str, Stroke | None]:
    """Split a region's mix from its stroke, if it has one: "starry@2" -> "starry", "2". Raises `MultistyleError`."""
    mix, sign, stroke = text.partition("@")
    if not sign:
        return text, None
    stroke_number(stroke)
    return mix, stroke


def stroke_depth(stroke: float, height: int, width: int) -> float:
    """How often a picture of height x width px is halved for strokes `stroke` times as large as in a painting."""
    return max(0.0, math.log2(max(height, width) * stroke / BASE)) if stroke else 0.0


def paint_scales(
    one_pass: OnePass,
    photos: Tensor,
    blend: Tensor,
    depth: float | Tensor,
    carries: Sequence[Carry] | None = None,
) -> Tensor:
    """Paint as `OnePass.paint` does, at several scales; a depth of 0 is one pass.

    photos: (B, 3, H, W) in [0, 1], on the device.
    blend: (B, S) or (B, S, H, W).
    depth: a number, or a map (1, 1, H, W).
    carries: one for each level, the finest first; see `OnePass.paint`.

    Returns (B, 3, H, W) in [0, 1], without photo's share of it.
    """
    carry = carries[0] if carries else None
    if deepest(depth) <= 0:
        return one_pass.paint(photos, blend, carry)
    height, width = photos.shape[2:]
    below = paint_scales(
        one_pass,
        halve(photos),
        halve(blend) if blend.ndim == 4 else blend,
        (halve(depth) if isinstance(depth, Tensor) else depth) - 1,
        carries[1:] if carries else None,
    )
    if carries and carries[1].settle:
        below = carries[1].settle(below)
    start = double(below, height, width)
    own, share = level_shares(depth)
    source = level_source(start, photos, own)
    painted = source + share * (one_pass.paint(source, finer_blend(blend, share), carry) - source)
    return level_result(painted, start, double(halve(painted), height, width), own)


def deepest(depth: float | Tensor) -> float:
    """The depth, or the largest one in a map."""
    return float(depth.max()) if isinstance(depth, Tensor) else depth


def halvings(depth: float | Tensor) -> int:
    """How many levels `paint_scales` paints below the finest."""
    return max(0, math.ceil(deepest(depth)))


def level_shares(depth: float | Tensor) -> tuple[float | Tensor, float | Tensor]:
    """How much a level is as one pass would paint it, and how much of its result is its own painting."""
    own = (1 - depth).clamp(0, 1) if isinstance(depth, Tensor) else min(1.0, max(0.0, 1 - depth))
    return own, OWN_IN_RESULT + (1 - OWN_IN_RESULT) * own


def level_source(start: Tensor, photo: Tensor, own: float | Tensor) -> Tensor:
    """The input of a level: a mixture of the doubled coarse painting and the photo; the photo where `own` is 1."""
    return start + (PHOTO_IN_SOURCE + (1 - PHOTO_IN_SOURCE) * own) * (photo - start)


def level_result(painted: Tensor, start: Tensor, blurred: Tensor, own: float | Tensor) -> Tensor:
    """The result of a level: `painted` with the coarse frequencies of `start`, except for a share `own`."""
    fused = painted + start - blurred
    return (fused + own * (painted - fused)).clamp(0, 1)


def finer_blend(blend: Tensor, share: float | Tensor) -> Tensor:
    """`blend` (B, S) or (B, S, H, W) at the strength `share`, a number or a map (1, 1, H, W); the rest is photo's."""
    if isinstance(share, Tensor) and blend.ndim == 2:
        blend = blend[..., None, None]
    weaker = blend * share
    weaker[:, PHOTO] += 1 - (share[:, 0] if isinstance(share, Tensor) else share)
    return weaker


def halve(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, ceil(H / 2), ceil(W / 2)): means of 2 x 2 pixels."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def double(image: Tensor, height: int, width: int) -> Tensor:
    """(B, 3, h, w) -> (B, 3, height, width), the upper left part of twice the size; bicubic, in [0, 1]."""
    return F.interpolate(image, scale_factor=2, mode="bicubic")[:, :, :height, :width].clamp(0, 1)
