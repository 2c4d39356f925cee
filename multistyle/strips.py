"""Paint a picture of any size in little memory, with the very pixels that one pass would give."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .blend import Regions
from .device import free_memory
from .errors import MultistyleError
from .strip_painter import StripPainter
from .stylizer import Stylizer

BYTES_PER_PIXEL = 24  # at the peak of a plain pass in float32, for each channel of full size


@torch.inference_mode()
def paint_tiled(
    stylizer: Stylizer,
    picture: Tensor,
    blend: Tensor | Regions,
    tile: int = 1024,
    estimate: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Paint `picture` in strips of about tile x tile pixels; what comes out is what one pass gives.

    picture: (3, H, W), bytes, or float in [0, 1]; blend: (S,) as `Stylizer.blend` returns it, or `Regions`; tile: at
    least 64 px. estimate: take the statistics from a reduced picture, faster and approximate. progress is
    called with strips done and strips in all. Returns (3, H, W) of the picture's kind, on the CPU. Computed in float32.

    Exactly painted, it differs from one pass by rounding alone: under 1 grey level. Memory is the picture, the
    painting, 2 * C / 16 numbers a pixel (C channels of quarter size), and the work on one strip.

    Raises `MultistyleError` for a tile under 64 px.
    """
    if tile < 64:
        raise MultistyleError(f"a tile is at least 64 pixels, not {tile}")
    if isinstance(blend, Regions):
        blend = blend.fitted(*picture.shape[1:])
    painter = StripPainter(stylizer.network, stylizer.device, picture, blend, tile * tile)
    output = torch.empty(picture.shape, dtype=picture.dtype)
    if estimate:
        painter.estimate()
        work, total = painter.paint_whole_network(output), len(painter.strips)
    else:
        work, total = painter.exact(output), painter.exact_steps
    for done, _ in enumerate(work, start=1):
        progress(done, total)
    return output


def needs_tiling(stylizer: Stylizer, height: int, width: int) -> bool:
    """Whether one pass over a picture of height x width px would take more than half of the memory there is now."""
    needed = height * width * BYTES_PER_PIXEL * stylizer.network.config.widths[0]
    return needed > free_memory(stylizer.device) / 2
