"""Paint a picture of any size in little memory, with the same result as painting it whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .blend import Regions
from .device import free_memory
from .errors import MultistyleError
from .messages import Progress, no_progress
from .network import photo_share
from .one_pass import OnePass
from .pixels import as_float, put
from .strip_painter import StripPainter
from .strip_source import BAND, Depths, FinerSource, PhotoSource, Source, halved, halved_blend
from .strokes import deepest, paint_scales

SIDE = 1024  # px; a strip has as many pixels as a square of this side
SMALLEST = 64  # px
BYTES_PER_PIXEL = 24  # at the peak of one pass in float32, for each channel of full size


@torch.no_grad()
def paint_strips(
    one_pass: OnePass,
    image: Tensor,
    blend: Tensor | Regions,
    depth: float | Depths = 0.0,
    side: int = SIDE,
    estimate: bool = False,
    progress: Progress = no_progress,
) -> Tensor:
    """Paint `image` in strips, in float32. The result equals painting it whole, to within a grey level.

    image: (3, H, W), bytes, or float in [0, 1].
    blend: (S,) as `OnePass.blend` returns it, or `Regions`.
    depth: how often the picture is halved; see `strokes`.
    side: a strip has about side x side pixels; at least 64.
    estimate: take the statistics from a reduced picture; faster and approximate.
    progress: counts strips; at several scales, of one level after the other, the coarsest first.

    Returns (3, H, W) of the image's dtype, on the CPU. Memory is the picture, the painting, 2 C / 16 numbers a pixel
    (C channels of quarter size), and the work on one strip. Raises `MultistyleError` for a smaller side.
    """
    if side < SMALLEST:
        raise MultistyleError(f"strips have a side of at least {SMALLEST} pixels, not {side}")
    if isinstance(blend, Regions):
        blend = blend.fitted(*image.shape[1:])
    if isinstance(depth, Depths):
        depth = Depths(depth.regions.fitted(*image.shape[1:]), depth.values)
    strips = _Strips(one_pass, side, estimate)
    if _deepest(depth) <= 0:
        return strips.run(PhotoSource(image, blend), progress)
    painted = strips.scales(image, blend, depth, progress)
    for first in range(0, image.shape[1], BAND):
        band = slice(first, first + BAND)
        field = blend.field(band)[None] if isinstance(blend, Regions) else blend[None]
        share = photo_share(field)
        mixed = share * as_float(image[None, :, band]) + (1 - share) * as_float(painted[None, :, band])
        put(painted[:, band], mixed[0].clamp(0, 1))
    return painted


@dataclass(frozen=True)
class _Strips:
    one_pass: OnePass
    side: int
    estimate: bool

    def scales(self, image: Tensor, blend: Tensor | Regions, depth: float | Depths, progress: Progress) -> Tensor:
        """As `strokes.paint_scales`, for (3, H, W), bytes or float. What fits in one strip is painted whole."""
        height, width = image.shape[1:]
        if height * width <= self.side**2:
            return self._whole(image, blend, depth)
        if _deepest(depth) <= 0:
            return self.run(PhotoSource(image, blend, keeps_photo=False), progress)
        lower = depth.halved() if isinstance(depth, Depths) else depth - 1
        below = self.scales(halved(image), halved_blend(blend), lower, progress)
        source = FinerSource(image, below, blend, depth)
        painted = self.run(source, progress)
        source.fuse(painted)
        return painted

    def run(self, source: Source, progress: Progress) -> Tensor:
        """Paint one level in strips."""
        painter = StripPainter(self.one_pass.network, self.one_pass.device, source, self.side**2)
        output = torch.empty_like(source.picture)
        for done, total in self._work(painter, output):
            progress(done, total)
        return output

    def _work(self, painter: StripPainter, output: Tensor) -> Iterator[tuple[int, int]]:
        if self.estimate:
            painter.estimate()
            work, total = painter.paint_whole_network(output), len(painter.strips)
        else:
            work, total = painter.exact(output), painter.exact_steps
        for done, _ in enumerate(work, start=1):
            yield done, total

    def _whole(self, image: Tensor, blend: Tensor | Regions, depth: float | Depths) -> Tensor:
        device = self.one_pass.device
        field = blend.field() if isinstance(blend, Regions) else blend
        spread = depth.part().to(device) if isinstance(depth, Depths) else depth
        painted = paint_scales(self.one_pass, as_float(image[None]).to(device), field[None].to(device), spread)
        output = torch.empty_like(image)
        put(output, painted[0].cpu())
        return output


def _deepest(depth: float | Depths) -> float:
    return deepest(depth.values if isinstance(depth, Depths) else depth)


def needs_strips(one_pass: OnePass, height: int, width: int) -> bool:
    """Whether one pass over a picture of height x width px would take more than half of the free memory."""
    needed = height * width * BYTES_PER_PIXEL * one_pass.network.config.widths[0]
    return needed > free_memory(one_pass.device) / 2
