"""Images as bytes and as floats: the one place that converts between them."""

from __future__ import annotations

import torch
from torch import Tensor


def as_float(image: Tensor) -> Tensor:
    """An image, of bytes or of floats of any precision, as float32 in [0, 1]."""
    return image / 255 if image.dtype == torch.uint8 else image.float()


def as_bytes(image: Tensor) -> Tensor:
    """An image, of bytes or of floats in [0, 1], as bytes."""
    return image if image.dtype == torch.uint8 else (image * 255).round().byte()


def as_dtype(image: Tensor, dtype: torch.dtype) -> Tensor:
    """An image as bytes, if `dtype` is uint8, or else as floats in [0, 1] of that dtype."""
    return as_bytes(image) if dtype == torch.uint8 else as_float(image).to(dtype)


def put(target: Tensor, image: Tensor) -> None:
    """Write `image`, float in [0, 1], into `target`, of its shape, in bytes or float."""
    target.copy_((image * 255).round() if target.dtype == torch.uint8 else image)
