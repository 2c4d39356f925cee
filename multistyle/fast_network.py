"""The style network rewritten for speed: the numbers of `StyleNetwork`, to rounding, in less time and memory.

A convolution of an upsampled input is one convolution at the low resolution with four times the outputs, one set for
each place ("phase") in a 2 x 2 cell of the upsampled grid. Nothing is upsampled, and with nearest-neighbour upsampling
nothing is multiplied by copies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .network import StyleNetwork, UpsampledConvolution, modulate, moments

# What each of the four upsampled pixels -1 .. 2 of cell 0 takes from the cells -1, 0 and 1.
TAPS = {
    "nearest": ((1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 1)),
    "bilinear": ((0.75, 0.25, 0), (0.25, 0.75, 0), (0, 0.75, 0.25), (0, 0.25, 0.75)),
}


class FastNetwork(nn.Module):
    """Computes the same as `StyleNetwork.paint`, without gradients.

    network: its convolutions, which may be in half precision, and its table are used, not copied. Kernels for the
    phases are computed here, so the network must not change afterwards.
    """

    up0: Tensor  # kernels, as `upsampling_kernel` makes them
    up1: Tensor

    def __init__(self, network: StyleNetwork) -> None:
        super().__init__()
        self.network = network
        for index, layer in enumerate(network.up[:-1]):
            assert isinstance(layer, UpsampledConvolution)
            self.register_buffer(f"up{index}", upsampling_kernel(layer).detach())

    def forward(
        self, image: Tensor, blend: Tensor, carried: Tensor | None = None, share: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Paint an image as `StyleNetwork.paint` does; (B, 3, H, W) in float32, and the statistics used, (B, 2, N).

        image: (B, 3, H, W); H and W are multiples of `STRIDE` and at least `MINIMUM`.
        blend: (B, S) or (B, S, H, W).
        carried: statistics (means, then variances, of the N normalized channels) of an earlier picture, to mix in.
        share: a scalar, the weight of this picture's own statistics in the mix.
        """
        network = self.network
        layer = _Layers(network, network.modulator(blend), carried, share)
        x = image.to(self.up0.dtype)
        for down in network.down:
            x = F.relu_(layer.normalize(down(x)))
        for first, second in zip(network.blocks[::2], network.blocks[1::2]):
            x = x + layer.normalize(second(F.relu_(layer.normalize(first(x)))))
        for kernel in (self.up0, self.up1):
            x = F.conv2d(F.pad(x, (1,) * 4, mode="replicate"), kernel)
            x = join_phases(F.relu_(layer.normalize_phases(x)))
        painted = torch.sigmoid(layer.normalize(network.up[-1](x).float()))
        return painted, torch.cat(layer.statistics, dim=2)


@dataclass
class _Layers:
    """The normalizations of one pass, called in their order."""

    network: StyleNetwork
    modulation: Callable[[int], tuple[Tensor, Tensor]]
    carried: Tensor | None
    share: Tensor | None
    statistics: list[Tensor] = field(default_factory=list)

    def normalize(self, x: Tensor) -> Tensor:
        return modulate(x, *self._settle(*moments(x)), *self.modulation(len(self.statistics) - 1))

    def normalize_phases(self, x: Tensor) -> Tensor:
        """Normalize x (B, 4 C, h, w), the four phases of C channels."""
        means, variances = (part.unflatten(1, (4, -1)) for part in moments(x))
        mean = means.mean(1)
        mean, variance = self._settle(mean, (variances + (means - mean[:, None]).square()).mean(1))
        scale, shift = map(split_phases, self.modulation(len(self.statistics) - 1))
        return modulate(x, mean.repeat(1, 4), variance.repeat(1, 4), scale, shift)

    def _settle(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """The statistics to use, given this picture's own."""
        found = torch.stack([mean, variance], dim=1)
        if self.carried is not None and self.share is not None:
            start = sum(self.network.channels[: len(self.statistics)])
            before = self.carried[:, :, start : start + mean.shape[1]]
            found = torch.lerp(before, found, self.share)
        self.statistics.append(found)
        return found[:, 0], found[:, 1]


def upsampling_kernel(layer: UpsampledConvolution) -> Tensor:
    """The kernel (4 O, I, 3, 3) that computes, at low resolution, the four phases of `layer` (O, I, 3, 3).

    Phase-major: the O outputs of the cell's upper left pixel, upper right, lower left, lower right.
    """
    rows = torch.tensor(TAPS[layer.upsampling]).to(layer.weight)
    taps = torch.stack([rows[:3], rows[1:]])  # (phase, pixel of the kernel, cell)
    kernel = torch.einsum("oikl,aku,blv->aboiuv", layer.weight, taps, taps)
    return kernel.flatten(0, 2).contiguous(memory_format=torch.channels_last)


def join_phases(x: Tensor) -> Tensor:
    """(B, 4 C, h, w) in phases to (B, C, 2 h, 2 w), as one copy, channels last."""
    batch, _, height, width = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(batch, height, width, 2, 2, -1).transpose(2, 3)
    return cells.reshape(batch, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def split_phases(x: Tensor) -> Tensor:
    """(B, C, 2 h, 2 w) to its phases (B, 4 C, h, w); (B, C) to (B, 4 C), the same in each."""
    if x.ndim == 2:
        return x.repeat(1, 4)
    batch, channels, height, width = x.shape
    cells = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return cells.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
