"""Resize images of floats or bytes, with or without transparency."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor

from .device import free_memory
from .errors import ImageError
from .pixels import as_dtype

UNCHECKED = 1 << 24  # pixels; up to this size, pictures are enlarged without asking for the free memory
ENLARGED_BYTES = 64  # a pixel: the picture and the painting as floats, and the features that strips keep of them
BAND_NUMBERS = 1 << 24  # of a picture at a time, where one with transparency is resized


def check_size(size: int | None) -> None:
    """Raise `ImageError` unless `size` is None, or a whole number of 1 or more."""
    if size is not None and (not isinstance(size, Integral) or size < 1):
        raise ImageError(f"a size is a whole number, at least 1 pixel, not {size!r}")


def fitted_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of a picture of height x width px whose longer side becomes `size` px.

    Raises `ImageError`, without the picture's name, where that is more than the free memory can hold.
    """
    longer = max(height, width)
    fitted = max(1, round(height * size / longer)), max(1, round(width * size / longer))
    pixels = fitted[0] * fitted[1]
    if size > longer and pixels > UNCHECKED:
        need, free = pixels * ENLARGED_BYTES, free_memory(torch.device("cpu"))
        if need > free:
            raise ImageError(
                f"would take about {need / 1e9:.1f} GB of memory at {fitted[1]} x {fitted[0]} pixels, "
                f"and {free / 1e9:.1f} GB are free; ask for a smaller size"
            )
    return fitted


def interpolate(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize `image` (C, H, W), float in [0, 1] or bytes, to height and width `shape`, by bicubic interpolation."""
    if image.shape[1:] == shape:
        return image
    if image.dtype == torch.uint8:
        return _stretch(image, shape)
    return _stretch(image.float(), shape).clamp(0, 1).to(image.dtype)


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
