"""The style network: takes an image and a blend, returns a painting, in one pass.

The shape is the transformer of Dumoulin, Shlens and Kudlur, "A Learned Representation for Artistic Style" (ICLR
2017), table 1: convolutions down to a quarter of the size, residual blocks, nearest-neighbour upsampling and
convolutions back up, with a conditional instance normalization (CIN) after every convolution, the last included.
Deliberate departures from the paper:

- A reserved style, row `PHOTO` of the table, returns the picture itself; see `StyleNetwork.forward`.
- Scales and shifts of all normalizations of one style are one row of one table, so that a blend is one matrix
  product whatever the number of styles.
- Any size from 1 x 1 up: see `multistyle.grid`.
- The upsampling may be bilinear: nearest-neighbour leaves copies of the picture's frequencies around multiples of 1/4
  cycle a pixel, which show as a weave; bilinear attenuates them twice as strongly (in decibels), and is as fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .grid import cut_from_grid, pad_to_grid

PHOTO = 0  # the table's row of the reserved style "photo"
MINIMUM = 8  # px; below it, reflection padding inside the network would be wider than its features
EPSILON = 1e-5
FLAT = 1e-6  # variance; trained channels have 0.02 and more
WIDEST, DEEPEST = 4096, 1000  # channels and residual blocks; more would be a mistake, and could not be built
LARGEST = 100_000_000  # parameters; sixty times the published network


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a `StyleNetwork`; the defaults are the published one (1,674,432 shared parameters).

    Raises ValueError for a field of the wrong type or an unreasonably large network, before anything is built.
    """

    widths: tuple[int, int, int] = (32, 64, 128)  # channels at full, half and quarter size
    blocks: int = 5  # residual blocks, of two convolutions each
    stem: int = 9  # px, odd; kernel of the first convolution
    head: int = 9  # px, odd; kernel of the last convolution
    upsampling: str = "nearest"  # or "bilinear"

    def __post_init__(self) -> None:
        three = isinstance(self.widths, tuple) and len(self.widths) == 3
        if not three or not all(_is_integer(width, 1, WIDEST) for width in self.widths):
            raise ValueError(f"a network has three widths, integers from 1 to {WIDEST}, not {self.widths!r:.80}")
        if not _is_integer(self.blocks, 0, DEEPEST):
            raise ValueError(f"blocks must be an integer from 0 to {DEEPEST}, not {self.blocks!r:.80}")
        for kernel in (self.stem, self.head):
            if not _is_integer(kernel, 1, 2 * MINIMUM - 1) or kernel % 2 == 0:
                raise ValueError(f"stem and head kernels are odd and at most {2 * MINIMUM - 1} px, not {kernel!r:.80}")
        if self.upsampling not in ("nearest", "bilinear"):
            raise ValueError(f'upsampling is "nearest" or "bilinear", not {self.upsampling!r:.80}')
        if self.parameters > LARGEST:
            raise ValueError(f"a network has at most {LARGEST:,} parameters, not {self.parameters:,}")

    @property
    def parameters(self) -> int:
        """The number of parameters of all convolutions, which the styles share."""
        full, half, quarter = self.widths
        ends = 3 * full * (self.stem**2 + self.head**2)
        return ends + 9 * (2 * full * half + 2 * half * quarter + 2 * self.blocks * quarter**2)


def _is_integer(value: object, least: int, most: int) -> bool:
    """Whether `value`, of any type, is an integer from `least` to `most`; True and False are not."""
    return type(value) is int and least <= value <= most


class Convolution(nn.Conv2d):
    """A "same" convolution with reflection padding, optionally of stride 2.

    It has no bias, because the normalization that always follows would remove it.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=False)
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        margin = self.kernel_size[0] // 2
        if margin:
            x = F.pad(x, (margin,) * 4, mode="reflect")
        return super().forward(x)


class UpsampledConvolution(Convolution):
    """A 3 x 3 convolution of its input upsampled twofold ("nearest" or "bilinear").

    The input is padded by replication before upsampling. (With "nearest", that equals reflection padding afterwards.)
    """

    def __init__(self, inputs: int, outputs: int, upsampling: str) -> None:
        super().__init__(inputs, outputs, 3)
        self.upsampling = upsampling

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1,) * 4, mode="replicate")
        x = F.interpolate(x, scale_factor=2.0, mode=self.upsampling)[:, :, 1:-1, 1:-1]
        return nn.Conv2d.forward(self, x)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each channel of each sample of x (B, C, H, W): (B, C) each, in float32.

    In two passes, which on channels-last CPU tensors take a quarter of the time of `torch.var_mean`.
    """
    mean = x.mean((2, 3), keepdim=True, dtype=torch.float32)
    return mean[:, :, 0, 0], (x - mean).square().mean((2, 3))


def modulate(x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale * (x - mean) / sqrt(variance + epsilon) + shift, as one multiply-add in the dtype of x.

    x: (B, C, H, W); mean, variance: (B, C); scale, shift: (B, C), or maps (B, C, H, W).

    A channel that is flat except for rounding in x's dtype gives only its shift. Otherwise each layer would enlarge the
    rounding errors a hundredfold, and a picture of one colour would become a pattern. (Ours; not in the paper.)
    """
    mean, variance = mean[..., None, None], variance[..., None, None]
    if scale.ndim == 2:
        scale, shift = scale[..., None, None], shift[..., None, None]
    rounding = FLAT + (torch.finfo(x.dtype).eps * mean).square()
    gain = scale.float() * torch.rsqrt(variance + EPSILON) * (variance / (variance + rounding))
    offset = shift.float() - mean * gain
    return torch.addcmul(offset.to(x.dtype), x, gain.to(x.dtype))


def conditional_instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Equation 5 of Dumoulin et al. 2017: normalize each channel of each sample, then scale and shift by style.

    x: (B, C, H, W); scale, shift: (B, C), or maps (B, C, H, W); any real numbers. The statistics are taken in float32
    whatever the dtype of x, and the rest is one multiply-add, which keeps the memory format (PyTorch's own instance
    norm drops channels-last).
    """
    return modulate(x, *moments(x), scale, shift)


Norm = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x, scale, shift) -> normalized; called once a layer, in order


class StyleNetwork(nn.Module):
    """One network for many styles.

    config: its shape.
    styles: the number S of rows of its table, including the reserved row `PHOTO`.

    `table` is a parameter of shape (S, 2 N) with N the channels of all normalizations together: the first N numbers
    of a row are one style's scales, the rest its shifts, in the order of the convolutions. New rows start at scale 1
    and shift 0, convolutions at N(0, 0.01), as published.
    """

    def __init__(self, config: NetworkConfig, styles: int) -> None:
        super().__init__()
        self.config = config
        full, half, quarter = config.widths
        self.down = nn.ModuleList(
            [
                Convolution(3, full, config.stem),
                Convolution(full, half, 3, stride=2),
                Convolution(half, quarter, 3, stride=2),
            ]
        )
        self.blocks = nn.ModuleList(Convolution(quarter, quarter, 3) for _ in range(2 * config.blocks))
        self.up = nn.ModuleList(
            [
                UpsampledConvolution(quarter, half, config.upsampling),
                UpsampledConvolution(half, full, config.upsampling),
                Convolution(full, 3, config.head),
            ]
        )
        self.channels = [layer.out_channels for layer in (*self.down, *self.blocks, *self.up)]
        table = torch.cat([torch.ones(styles, sum(self.channels)), torch.zeros(styles, sum(self.channels))], dim=1)
        self.table = nn.Parameter(table)

    def forward(self, image: Tensor, blend: Tensor, norm: Norm = conditional_instance_norm) -> Tensor:
        """Paint `image` in the mix of styles `blend`.

        image: (B, 3, H, W), sRGB in [0, 1], H and W at least 1.
        blend: (B, S), non-negative, each row summing to 1; or a blend field (B, S, H, W), one blend for every pixel.
        norm: replaces the normalization of each layer, for callers that have their own statistics.

        Returns (B, 3, H, W) in [0, 1], in the image's dtype.

        If p is photo's share of the blend, the result is p * image + (1 - p) * painted(image, blend). So p = 1 returns
        the picture exactly, and lower values act as a strength dial. The network sees photo's row too, so that it
        learns what to add in a blend at half strength. (Photo and fields are ours; not in the paper.)

        Raises ValueError if the shapes do not match. Values are not checked.
        """
        if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
            raise ValueError(f"expected an image of shape (B, 3, H, W), got {tuple(image.shape)}")
        plain, (height, width) = (len(image), len(self.table)), image.shape[2:]
        if blend.shape not in (plain, (*plain, height, width)):
            shapes = f"{plain} or {(*plain, height, width)}"
            raise ValueError(f"expected a blend of shape {shapes}, got {tuple(blend.shape)}")
        padded_blend = blend if blend.ndim == 2 else pad_to_grid(blend)
        painted = cut_from_grid(self.paint(pad_to_grid(image), padded_blend, norm), height, width)
        photo = photo_share(blend).to(image.dtype)
        return photo * image + (1 - photo) * painted.to(image.dtype)

    def paint(self, x: Tensor, blend: Tensor, norm: Norm = conditional_instance_norm) -> Tensor:
        """The transformer alone, for an image with sides that are multiples of `STRIDE` and at least `MINIMUM`."""
        modulations = map(self.modulator(blend), itertools.count())
        for layer in self.down:
            x = F.relu(norm(layer(x), *next(modulations)))
        for first, second in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            y = F.relu(norm(first(x), *next(modulations)))
            x = x + norm(second(y), *next(modulations))
        for layer in self.up[:-1]:
            x = F.relu(norm(layer(x), *next(modulations)))
        last = self.up[-1](x).float()  # three channels; a half precision would show as bands in skies
        return torch.sigmoid(norm(last, *next(modulations)))

    def modulator(self, blend: Tensor) -> Callable[[int], tuple[Tensor, Tensor]]:
        """A function from a layer's number to its scale and shift, both (B, C), or maps (B, C, h, w) for a field.

        Computed in float32, under autocast too. A layer's maps come from the field averaged over that layer's
        pixels. They are computed one layer at a time, since all of them together would be many times the picture.
        """
        ends = itertools.accumulate(self.channels)
        columns = [slice(end - width, end) for end, width in zip(ends, self.channels)]
        if blend.ndim == 2:
            scales, shifts = _mix(blend, self.table).chunk(2, dim=1)
            return lambda layer: (scales[:, columns[layer]], shifts[:, columns[layer]])
        levels = {1: blend, 2: F.avg_pool2d(blend, 2), 4: F.avg_pool2d(blend, 4)}
        reductions = (1, 2, 4, *[4] * len(self.blocks), 2, 1, 1)
        tables = self.table.chunk(2, dim=1)

        def maps(layer: int) -> tuple[Tensor, Tensor]:
            scale, shift = (_mix(levels[reductions[layer]], table[:, columns[layer]]) for table in tables)
            return scale, shift

        return maps


def _mix(blend: Tensor, table: Tensor) -> Tensor:
    """blend (B, S) or (B, S, H, W) times table (S, N): (B, N) or (B, N, H, W), float32 even under autocast."""
    with torch.autocast(blend.device.type, enabled=False):
        return blend @ table if blend.ndim == 2 else torch.einsum("bshw,sn->bnhw", blend, table)


def photo_share(blend: Tensor) -> Tensor:
    """Photo's share of the result: (B, 1, 1, 1) for a blend (B, S), (B, 1, H, W) for a blend field (B, S, H, W)."""
    return blend[:, PHOTO, None, None, None] if blend.ndim == 2 else blend[:, PHOTO, None]
