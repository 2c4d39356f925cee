"""The grid of the network's coarsest features, and how a picture of any size is padded to it and cut out again.

Within some 4 px of an edge, where every layer's features mirror themselves, texture comes out softer than inside. So
`FRAME` px more are painted on every side.
"""

from __future__ import annotations

import torch
from torch import Tensor

STRIDE = 4  # px between the coarsest features: two convolutions of stride 2
FRAME = STRIDE  # px mirrored around every picture, painted and cut off


def pad_to_grid(image: Tensor) -> Tensor:
    """Pad (..., H, W) by `FRAME` on every side, and below and on the right to multiples of `STRIDE`.

    Pads by reflection as far as the picture reaches, then by replication, so that even one pixel works.
    """
    for dim in (-2, -1):
        image = image.index_select(dim, grid_index(image.shape[dim]).to(image.device))
    return image


def cut_from_grid(painted: Tensor, height: int, width: int) -> Tensor:
    """Cut the picture of height x width px out of the painting of its padded version; undoes `pad_to_grid`."""
    return painted[..., FRAME : FRAME + height, FRAME : FRAME + width]


def grid_index(side: int) -> Tensor:
    """The source pixel of each pixel of a padded side: .. 2, 1, 0, 1, .. side - 1, then back; see `pad_to_grid`."""
    padded = (side + STRIDE - 1) // STRIDE * STRIDE + 2 * FRAME
    place = (torch.arange(padded) - FRAME).abs()
    return torch.minimum(place, 2 * side - 2 - place).clamp_min(0)
