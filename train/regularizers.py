"""What keeps a network's pictures clean where the perceptual losses hardly look. Ours; neither is in the papers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from multistyle.network import EPSILON, STRIDE, modulate, moments

SPIKE = 6.0  # deviations; what a channel reaches on ordinary photos
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
