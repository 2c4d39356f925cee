"""Paint one picture: all options of how it is painted, for every command and every Python function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from .blend import Blend, Regions, check_mask, check_strength
from .color import with_colors_of
from .errors import BlendError, ImageError, MultistyleError
from .files import NamedBytes
from .image import Picture, check_image, check_picture, picture_size, read_picture, resize_picture
from .messages import Progress, no_progress
from .one_pass import OnePass, fit_blend
from .pixels import as_bytes, as_float, put
from .resize import check_size
from .strip_source import Depths
from .strips import SIDE, SMALLEST, needs_strips, paint_strips
from .strokes import Stroke, paint_scales, stroke_depth, stroke_number

LARGE = 1 << 25  # pixels; a larger picture is held as bytes
ROWS_PIXELS = 1 << 22  # at a time, when a large picture keeps its colours


class Region(NamedTuple):
    """A part of a picture with its own blend and, on request, its own size of strokes."""

    mask: Tensor  # (h, w), float in [0, 1] or bytes; fitted to the picture's size; 1 is inside, 0 outside
    blend: Blend  # any kind but a batch or a field
    stroke: Stroke | None = None  # as in `PaintOptions`; None: the same


@dataclass(frozen=True)
class PaintOptions:
    """How a picture is painted. Raises `MultistyleError` for invalid values."""

    blend: Blend | None = None  # a mix, a mapping, S numbers, or a field (S, h, w); None: the stylizer's default style
    strength: float = 1.0  # in [0, 1]; the rest of the result is the photo
    regions: Sequence[Region] = ()  # parts with their own blends; `blend` is for everything outside
    size: int | None = None  # longer side of the painting in px; None: the photo's
    stroke: Stroke = (
        "auto"  # size of the strokes; "auto" or 1: as in the painting itself; 2: twice that; "off": one pass
    )
    keep_colors: bool = False  # lightness from the painting, colours from the photo
    keep_metadata: bool = True  # EXIF (date, place, camera), XMP, resolution and texts of the photo are kept
    strips: str | int = "auto"  # "auto": if one pass would take half of the free memory; "off"; or a strip's side
    estimate: bool = False  # in strips: statistics from a reduced picture; faster and approximate

    def __post_init__(self) -> None:
        check_strength(self.strength)
        check_size(self.size)
        if not isinstance(self.regions, Sequence) or not all(isinstance(region, Region) for region in self.regions):
            raise MultistyleError("regions are a list of Region(mask, blend)")
        for stroke in (self.stroke, *(region.stroke for region in self.regions if region.stroke is not None)):
            stroke_number(stroke)
        if self.strips not in ("auto", "off") and not (str(self.strips).isdecimal() and int(self.strips) >= SMALLEST):
            raise MultistyleError(f"strips are auto, off, or at least {SMALLEST} pixels, not {self.strips!r}")

    def resolve(self, one_pass: OnePass) -> Tensor | Regions:
        """The blend of one picture as numbers: (S,), a field (S, h, w), or `Regions`. Raises `BlendError`."""
        blend = self.rest(one_pass)
        if not self.regions:
            return blend
        parts = [one_pass.blend(region.blend, self.strength) for region in self.regions]
        if any(part.ndim != 1 for part in (blend, *parts)):
            raise BlendError("regions take one blend each, and one for the rest; a field cannot be combined with them")
        return Regions([_mask_bytes(region.mask) for region in self.regions], parts, blend)

    def rest(self, one_pass: OnePass) -> Tensor:
        """The blend outside all regions: (S,), or a field (S, h, w). Raises `BlendError`."""
        blend = one_pass.blend(self.blend, self.strength)
        if blend.ndim == 2:
            raise BlendError(f"one picture is painted in one blend, not in {len(blend)}")
        return blend

    def depth(self, blend: Tensor | Regions, height: int, width: int) -> float | Depths:
        """How often a picture of height x width px is halved (see `strokes`), given what `resolve` returned."""
        rest = stroke_depth(stroke_number(self.stroke), height, width)
        strokes = [self.stroke if region.stroke is None else region.stroke for region in self.regions]
        depths = [stroke_depth(stroke_number(stroke), height, width) for stroke in strokes]
        if not isinstance(blend, Regions) or all(depth == rest for depth in depths):
            return rest
        return Depths(blend, torch.tensor([*depths, rest]))

    def needs_strips(self, one_pass: OnePass, height: int, width: int) -> bool:
        """Whether a picture of height x width px is painted in strips."""
        return self.strips != "off" and (self.strips != "auto" or needs_strips(one_pass, height, width))


class Painted(NamedTuple):
    """A painting and how it was made."""

    picture: Picture
    strips: bool  # painted in strips, not in one pass


@torch.no_grad()
def paint_picture(
    one_pass: OnePass, picture: Picture, options: PaintOptions, progress: Progress = no_progress
) -> Painted:
    """Paint a picture; its transparency is unchanged.

    picture: its image is (3, H, W), float in [0, 1] or bytes; the painting's is of the same kind.
    progress: counts strips, if it is painted in strips.

    Raises `MultistyleError` for options that do not fit the model or the picture.
    """
    check_picture(picture)
    blend = options.resolve(one_pass)
    image, alpha, metadata = picture if options.size is None else resize_picture(picture, options.size)
    depth = options.depth(blend, *image.shape[1:])
    strips = options.needs_strips(one_pass, *image.shape[1:])
    if strips:
        side = SIDE if options.strips == "auto" else int(options.strips)
        painted = paint_strips(one_pass, image, _by_masks(blend), depth, side, options.estimate, progress)
    else:
        painted = _paint_whole(one_pass, image, blend, depth)
    if options.keep_colors:
        keep_colors_by_rows(painted, image)
    return Painted(Picture(painted, alpha, metadata if options.keep_metadata else None), strips)


def _paint_whole(one_pass: OnePass, image: Tensor, blend: Tensor | Regions, depth: float | Depths) -> Tensor:
    field, spread = fit_to_picture(one_pass, blend, depth, *image.shape[1:])
    painted = one_pass(as_float(image), field, partial(paint_scales, one_pass, depth=spread))
    output = torch.empty(image.shape, dtype=image.dtype)
    put(output, painted)
    return output


def fit_to_picture(
    one_pass: OnePass, blend: Tensor | Regions, depth: float | Depths, height: int, width: int
) -> tuple[Tensor, float | Tensor]:
    """What `paint_scales` takes for a picture of height x width px, on the device of `one_pass`.

    blend, depth: from `PaintOptions.resolve` and `PaintOptions.depth`.

    Returns the blend as (S,) or a field (S, height, width), and the depth as a number or a map (1, 1, height, width).
    """
    field = blend.fitted(height, width).field() if isinstance(blend, Regions) else blend
    fitted = Depths(depth.regions.fitted(height, width), depth.values) if isinstance(depth, Depths) else depth
    spread = fitted.part().to(one_pass.device) if isinstance(fitted, Depths) else fitted
    return fit_blend(field, height, width).to(one_pass.device), spread


def _by_masks(blend: Tensor | Regions) -> Tensor | Regions:
    """Turn a field (S, h, w) into a region for each of its styles; returns anything else unchanged."""
    if isinstance(blend, Regions) or blend.ndim == 1:
        return blend
    styles = blend.flatten(1).any(1).nonzero()[:, 0]
    corners = torch.eye(len(blend))[styles]
    return Regions(list(blend[styles]), list(corners), corners[0])


def keep_colors(painting: Tensor, photo: Tensor) -> Tensor:
    """`painting` with the hue and chroma of `photo`; see `color.with_colors_of`.

    painting, photo: (3, H, W), float in [0, 1], sRGB; so is the result.

    Raises `ImageError` for other tensors, and for two sizes.
    """
    for image in (painting, photo):
        check_image(image)
    if painting.ndim != 3 or painting.shape != photo.shape:
        raise ImageError(f"colours are kept of one photo: got {tuple(painting.shape)} and {tuple(photo.shape)}")
    return with_colors_of(photo, painting)


def keep_colors_by_rows(painted: Tensor, photo: Tensor) -> None:
    """Apply `keep_colors` in place, some rows at a time; each image is float or bytes."""
    rows = max(1, ROWS_PIXELS // painted.shape[2])
    for top in range(0, painted.shape[1], rows):
        part = slice(top, top + rows)
        put(painted[:, part], with_colors_of(as_float(photo[:, part]), as_float(painted[:, part])))


def _mask_bytes(mask: Tensor) -> Tensor:
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        mask = mask.float()
    check_mask(mask)
    return as_bytes(mask if mask.dtype == torch.uint8 else mask.clamp(0, 1)).cpu()


def load_picture(source: str | Path | BinaryIO, options: PaintOptions) -> Picture:
    """The picture in `source` (a path or a binary file) in the size asked for; as bytes if it is large.

    Raises `ImageError`.
    """
    if not isinstance(source, (str, Path)) and not source.seekable():
        source = NamedBytes(source.read(), getattr(source, "name", "the picture"))
    large = options.size is None and math.prod(picture_size(source)) > LARGE
    return read_picture(source, torch.uint8 if large else torch.float32, options.size)


@torch.no_grad()
def paint_batch(one_pass: OnePass, images: Sequence[Tensor], options: Sequence[PaintOptions]) -> list[Tensor]:
    """Paint images of one shape together, each by its own options; returns bytes (3, H, W).

    images: (3, H, W), float in [0, 1] or bytes, of the size that the options ask for.
    options: one for each image, without regions.

    Raises `MultistyleError` if the images do not fit in memory together.
    """
    photos = one_pass.send(torch.stack(list(images)))
    depth = stroke_depth(stroke_number(options[0].stroke), *photos.shape[2:])
    blends = torch.stack([how.rest(one_pass) for how in options])
    batch = one_pass(as_float(photos), blends, partial(paint_scales, one_pass, depth=depth))
    painted = list(as_bytes(batch).cpu())
    for one, image, how in zip(painted, images, options, strict=True):
        if how.keep_colors:
            keep_colors_by_rows(one, image)
    return painted
