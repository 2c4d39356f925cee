"""Penalties on artifacts that the perceptual losses hardly see. They are ours; the papers have no such terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from multistyle.grid import STRIDE

from ..normalization import instance_norm, norm_and_spikes

NOISE = 6 / 255  # deviation
SPIKE = 6.0  # deviations; the largest values of a channel on ordinary photos
CELLS = 8  # periods; fewer would mistake texture for a weave, more would miss one that bends
UNSEEN = (0.5 / 255) ** 2  # energy of texture of half a grey level, which is invisible
WINDOW = 32  # px
FINE = 0.14  # cycles a pixel; coarser texture is strokes
AROUND = 7  # frequencies of a window's spectrum; a line is 3 wide
EDGE = 8  # px along the border of a crop, which the crop pads and the whole picture does not


class SpikeMeter:
    """A normalization that also measures spikes, for `StyleNetwork.forward`'s `norm`.

    Under instance normalization, a network can put a few huge values in one place, so that everything else is divided
    by their deviation. They show as white blobs; Karras et al., "Analyzing and Improving the Image Quality of
    StyleGAN" (2020), section 2, describe this for adaptive instance normalization. `penalty` sums, over the layers
    below full size, the mean square of the excess over `SPIKE` deviations. full: the side (px) of full size.
    """

    def __init__(self, full: int) -> None:
        self.full = full
        self.penalty: Tensor | float = 0.0

    def __call__(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        if x.shape[2] >= self.full:
            return instance_norm(x, scale, shift)
        normalized, spikes = norm_and_spikes(x, scale, shift, SPIKE)
        self.penalty = self.penalty + spikes
        return normalized


class Disturbance(NamedTuple):
    """What should change a painting no more than its photo."""

    top: int  # px that the photo is moved up, 1 to 3, off the network's grid
    left: int
    noise: Tensor  # (3, H, W)


def draw_disturbance(draws: torch.Generator, side: int) -> Disturbance:
    """A random disturbance of photos of side x side px."""
    top, left = (1 + torch.randint(STRIDE - 1, (2,), generator=draws)).tolist()
    return Disturbance(top, left, NOISE * torch.randn(3, side, side, generator=draws))


def shift_loss(
    network: Callable[[Tensor, Tensor], Tensor],
    photos: Tensor,
    blend: Tensor,
    painted: Tensor,
    disturbance: Disturbance,
) -> Tensor:
    """Mean squared difference between a crop of the painting and the painting of the crop of the photo with noise.

    The difference is texture tied to the pixel grid, not to the photo: hatching in flat areas, and flicker in films.
    Films, and photos at high ISO speeds, have such noise. photos, painted: (B, 3, H, W); blend: (B, S).
    """
    top, left, noise = disturbance
    height, width = (side - STRIDE for side in photos.shape[2:])
    noisy = photos + noise.to(photos)
    moved = network(noisy[:, :, top : top + height, left : left + width], blend)[:, :, EDGE:-EDGE, EDGE:-EDGE]
    there = painted[:, :, top + EDGE :, left + EDGE :][:, :, : moved.shape[2], : moved.shape[3]]
    return (moved - there).square().mean()


def weave_loss(painted: Tensor) -> Tensor:
    """How much of the texture repeats every `STRIDE` px over `CELLS` periods, relative to all texture.

    That is the energy near multiples of 1 / STRIDE cycle a pixel, where upsampling leaves a weave in flat areas. Slopes
    and slower changes are removed first. Noise gives about 1, a perfect weave CELLS squared. The measure is relative
    because a faint weave shows where there is little else. painted: (B, 3, H, W), sides multiples of STRIDE.
    """
    texture = _texture(painted)
    folded = F.avg_pool2d(F.pixel_unshuffle(texture, STRIDE), CELLS, stride=CELLS // 2)
    energy = texture.square().mean((1, 2, 3)) / CELLS**2
    return (folded.square().mean((1, 2, 3)) / (energy + UNSEEN / CELLS**2)).mean()


def hatch_loss(painted: Tensor) -> Tensor:
    """How far the spectrum of fine texture stands out in lines, whatever their frequency: 1 is a smooth spectrum.

    A network kept from weaving at multiples of 1 / STRIDE cycle a pixel hatches beside them. The spectrum is the mean
    over overlapping windows, each relative to its own energy: faint hatching in a flat area counts as much as
    strong hatching, and edges, which have all directions, do not count. Each frequency is compared with its neighbours.
    painted: (B, 3, H, W), sides at least `WINDOW`.
    """
    texture = _texture(painted)
    patches = texture.unfold(2, WINDOW, WINDOW // 2).unfold(3, WINDOW, WINDOW // 2)
    hann = torch.hann_window(WINDOW, device=painted.device)
    taper, frequency = hann[:, None] * hann, torch.fft.fftfreq(WINDOW, device=painted.device)
    fine = (torch.hypot(frequency[:, None], frequency[None]) > FINE).to(painted.dtype)
    energy = torch.view_as_real(torch.fft.fft2(patches * taper)).square().sum((1, -1)) * fine / taper.square().sum()
    relative = energy / (energy.mean((3, 4), keepdim=True) + UNSEEN)
    spectrum = relative.mean((1, 2))[:, None]
    around = _around(spectrum) / _around(fine[None, None]).clamp_min(1e-6)
    return ((spectrum.square() / (around + 1e-6)).sum((1, 2, 3)) / (spectrum.sum((1, 2, 3)) + 1e-6)).mean()


def _texture(painted: Tensor) -> Tensor:
    """(B, 3, H, W) less its slopes and slower changes."""
    return painted - F.avg_pool2d(F.pad(painted, (2,) * 4, mode="reflect"), 5, stride=1)


def _around(spectrum: Tensor) -> Tensor:
    """The mean of (B, 1, W, W) over the frequencies around each."""
    return F.avg_pool2d(F.pad(spectrum, (AROUND // 2,) * 4, mode="circular"), AROUND, stride=1)
