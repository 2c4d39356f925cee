"""Resize images of floats or bytes, with or without transparency."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import ImageError

BAND_NUMBERS = 1 << 24  # processed at a time when a picture with transparency is resized


def as_dtype(image: Tensor, dtype: torch.dtype) -> Tensor:
    """`image`, bytes or float, converted to bytes (uint8) or to float32 in [0, 1]."""
    if image.dtype == dtype:
        return image
    return (image * 255).round().to(dtype) if dtype == torch.uint8 else image.to(dtype).div_(255)


def check_size(size: int | None) -> None:
    """Raise `ImageError` if `size` is below 1."""
    if size is not None and size < 1:
        raise ImageError(f"a size is at least 1 pixel, not {size}")


def fitted_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of a picture of height x width px whose longer side becomes `size` px."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def interpolate(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize `image` (C, H, W), float in [0, 1] or bytes, to height and width `shape`, by bicubic interpolation."""
    if image.shape[1:] == shape:
        return image
    resized = F.interpolate(image[None], shape, mode="bicubic", antialias=True)[0]
    return resized if image.dtype == torch.uint8 else resized.clamp(0, 1)


def interpolate_straight(image: Tensor, alpha: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Resize `image` (3, H, W) and `alpha` (1, H, W) to height and width `shape`, premultiplied, in bands."""
    height, width = image.shape[1:]
    wide = torch.empty(4, height, shape[1])  # premultiplied, of the new width
    for rows in _bands(height, max(width, shape[1])):
        part = torch.cat([as_dtype(image[:, rows], torch.float32) * alpha[:, rows], alpha[:, rows]])
        wide[:, rows] = _stretch(part, (part.shape[1], shape[1]))
    resized, new_alpha = image.new_empty(3, *shape), alpha.new_empty(1, *shape)
    for columns in _bands(shape[1], max(height, shape[0])):
        part = _stretch(wide[:, :, columns], (shape[0], columns.stop - columns.start))
        share = part[3:].clamp(0, 1)
        share = torch.where(share < 0.5 / 255, 0, share)  # invisible in a file, and its colour would be noise
        straight = torch.where(share > 0, part[:3] / share.clamp_min(1e-6), 1).clamp(0, 1)
        resized[:, :, columns], new_alpha[:, :, columns] = as_dtype(straight, image.dtype), share
    return resized, new_alpha


def _stretch(part: Tensor, shape: tuple[int, int]) -> Tensor:
    return F.interpolate(part[None], shape, mode="bicubic", antialias=True)[0]


def _bands(length: int, other: int) -> Iterator[slice]:
    step = max(1, BAND_NUMBERS // (4 * other))
    for start in range(0, length, step):
        yield slice(start, min(length, start + step))
