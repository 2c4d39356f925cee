"""Paint a picture of any size in little memory, with the pixels that one pass would give."""

from __future__ import annotations

import torch
from torch import Tensor

from .blend import Regions
from .device import free_memory
from .errors import MultistyleError
from .messages import Progress, no_progress
from .one_pass import OnePass
from .strip_painter import StripPainter

SIDE = 1024  # px; a strip has as many pixels as a square of this side
SMALLEST = 64  # px
BYTES_PER_PIXEL = 24  # at the peak of one pass in float32, for each channel of full size


@torch.inference_mode()
def paint_strips(
    one_pass: OnePass,
    image: Tensor,
    blend: Tensor | Regions,
    side: int = SIDE,
    estimate: bool = False,
    progress: Progress = no_progress,
) -> Tensor:
    """Paint `image` in strips, in float32. The result is what one pass gives, to within a grey level.

    image: (3, H, W), bytes, or float in [0, 1].
    blend: (S,) as `OnePass.blend` returns it, or `Regions`.
    side: a strip has about side x side pixels; at least 64.
    estimate: take the statistics from a reduced picture: faster, and approximate.
    progress: counts strips.

    Returns (3, H, W) of the image's dtype, on the CPU. Memory is the picture, the painting, 2 C / 16 numbers a pixel
    (C channels of quarter size), and the work on one strip. Raises `MultistyleError` for a smaller side.
    """
    if side < SMALLEST:
        raise MultistyleError(f"strips have a side of at least {SMALLEST} pixels, not {side}")
    if isinstance(blend, Regions):
        blend = blend.fitted(*image.shape[1:])
    painter = StripPainter(one_pass.network, one_pass.device, image, blend, side * side)
    output = torch.empty(image.shape, dtype=image.dtype)
    if estimate:
        painter.estimate()
        work, total = painter.paint_whole_network(output), len(painter.strips)
    else:
        work, total = painter.exact(output), painter.exact_steps
    for done, _ in enumerate(work, start=1):
        progress(done, total)
    return output


def needs_strips(one_pass: OnePass, height: int, width: int) -> bool:
    """Whether one pass over a picture of height x width px would take more than half of the memory there is now."""
    needed = height * width * BYTES_PER_PIXEL * one_pass.network.config.widths[0]
    return needed > free_memory(one_pass.device) / 2
