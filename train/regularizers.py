"""What keeps a network's pictures clean where the perceptual losses hardly look. Ours; none is in the papers."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from multistyle.network import EPSILON, STRIDE, modulate, moments

SPIKE = 6.0  # deviations; what a channel reaches on ordinary photos
CELLS = 8  # periods; fewer would take texture for a weave, more would miss one that bends
UNSEEN = (0.5 / 255) ** 2 / CELLS**2  # of texture under half a grey level nothing is seen
EDGE = 8  # px, where a picture and its crop are padded differently


class SpikeMeter:
    """A normalization that also measures spikes, for `StyleNetwork.forward`'s `norm`.

    A network under instance normalization can hide a few huge values in one place, so that all the rest is divided by
    their deviation; they show as white blobs, as described of adaptive instance normalization by Karras et al.,
    "Analyzing and Improving the Image Quality of StyleGAN" (2020), section 2. `penalty` sums, over the layers below
    full size, the mean square of what goes beyond `SPIKE` deviations.
    """

    def __init__(self, full: int) -> None:
        self.full = full
        self.penalty: Tensor | float = 0.0

    def __call__(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        mean, variance = moments(x)
        if x.shape[2] < self.full:
            deviations = (x - mean[..., None, None]) * torch.rsqrt(variance + EPSILON)[..., None, None]
            self.penalty = self.penalty + (deviations.abs() - SPIKE).clamp_min(0).square().mean()
        return modulate(x, mean, variance, scale, shift)


def draw_offset(draws: torch.Generator) -> tuple[int, int]:
    """How far (px) down and to the right `shift_loss` moves its crop: 1 to 3, off the network's grid."""
    top, left = (1 + torch.randint(STRIDE - 1, (2,), generator=draws)).tolist()
    return top, left


def shift_loss(
    network: Callable[[Tensor, Tensor], Tensor],
    photos: Tensor,
    blend: Tensor,
    painted: Tensor,
    offset: tuple[int, int],
) -> Tensor:
    """Mean squared difference between a crop of the painting and the painting of the crop at `offset` (`draw_offset`).

    What differs is tied to the pixel grid instead of the photo: the hatching of flat areas, and flicker in motion.
    photos, painted: (B, 3, H, W); blend: (B, S).
    """
    top, left = offset
    height, width = (side - STRIDE for side in photos.shape[2:])
    moved = network(photos[:, :, top : top + height, left : left + width], blend)[:, :, EDGE:-EDGE, EDGE:-EDGE]
    there = painted[:, :, top + EDGE :, left + EDGE :][:, :, : moved.shape[2], : moved.shape[3]]
    return (moved - there).square().mean()


def weave_loss(painted: Tensor) -> Tensor:
    """How much repeats every `STRIDE` px over `CELLS` periods, relative to what texture of any other kind would leave.

    That is the energy near multiples of 1 / STRIDE cycle a pixel, where the upsampling leaves its mark: a weave in flat
    areas. Slopes and slower are taken out first; noise gives about 1, a perfect weave CELLS squared. Relative, since a
    faint weave is seen where there is little else. painted: (B, 3, H, W), sides multiples of STRIDE.
    """
    slow = F.avg_pool2d(F.pad(painted, (2,) * 4, mode="reflect"), 5, stride=1)
    texture = painted - slow
    folded = F.avg_pool2d(F.pixel_unshuffle(texture, STRIDE), CELLS, stride=CELLS // 2)
    energy = texture.square().mean((1, 2, 3)) / CELLS**2
    return (folded.square().mean((1, 2, 3)) / (energy + UNSEEN)).mean()
