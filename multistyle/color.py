"""Colour spaces, and keeping a photo's colours: lightness from the painting, the rest from the photo."""

from __future__ import annotations

import torch
from torch import Tensor

# Björn Ottosson, "A perceptual color space for image processing" (Oklab, 2020): linear sRGB -> cones -> Lab.
TO_CONES = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
GAMUT_STEPS = 8  # of bisection; finds chroma to 1/256


def luminance(image: Tensor) -> Tensor:
    """Rec. 709 luma of (3, H, W) in [0, 1]: (H, W)."""
    return torch.einsum("chw,c->hw", image, image.new_tensor([0.2126, 0.7152, 0.0722]))


def with_colors_of(photo: Tensor, painting: Tensor) -> Tensor:
    """`painting` with the hue and chroma of `photo`: both (3, H, W), sRGB in [0, 1]; so is the result.

    Oklab's lightness is the painting's. Where the screen cannot show the photo's chroma at that lightness, the chroma
    is reduced; lightness and hue stay.
    """
    lightness, chroma = to_oklab(painting)[:1], to_oklab(photo)[1:]
    low, high = torch.zeros_like(lightness), torch.ones_like(lightness)
    if not bool((inside := _inside(lightness, chroma)).all()):
        for _ in range(GAMUT_STEPS):
            middle = (low + high) / 2
            fits = _inside(lightness, chroma * middle)
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        chroma = torch.where(inside, chroma, chroma * low)
    return from_oklab(torch.cat([lightness, chroma]))


def _inside(lightness: Tensor, chroma: Tensor) -> Tensor:
    linear = _linear_from_oklab(torch.cat([lightness, chroma]))
    return ((linear >= -1e-4) & (linear <= 1 + 1e-4)).all(0, keepdim=True)


def to_oklab(image: Tensor) -> Tensor:
    """sRGB (3, H, W) in [0, 1] -> Oklab (3, H, W): lightness in [0, 1], then green-red and blue-yellow."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    cones = torch.einsum("ij,jhw->ihw", TO_CONES.to(image), linear).clamp_min(0)
    return torch.einsum("ij,jhw->ihw", TO_LAB.to(image), cones ** (1 / 3))


def from_oklab(lab: Tensor) -> Tensor:
    """Oklab (3, H, W) -> sRGB in [0, 1], clipped to the gamut."""
    linear = _linear_from_oklab(lab).clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).clamp(0, 1)


def _linear_from_oklab(lab: Tensor) -> Tensor:
    cones = torch.einsum("ij,jhw->ihw", torch.linalg.inv(TO_LAB).to(lab), lab) ** 3
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(TO_CONES).to(lab), cones)
