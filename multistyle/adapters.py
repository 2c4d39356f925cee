"""PIL images, NumPy arrays and tensors to `Picture` and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .errors import ImageError
from .image import Picture, check_image, from_pil
from .pixels import as_bytes, as_float

Restore = Callable[[Picture], Any]


def as_picture(picture: Any) -> tuple[Picture, Restore]:
    """`picture` as a `Picture`, and the function that makes a painting the same kind of object.

    picture: a PIL image of any mode; a NumPy array (H, W, 3) or (H, W, 4), or a tensor (3, H, W), uint8 or float in
    [0, 1].

    A PIL image comes back as RGB, or as RGBA where it has transparency; arrays and tensors keep dtype and device.
    Raises `ImageError` for anything else.
    """
    if isinstance(picture, Image.Image):
        return from_pil(picture), _to_pil
    if isinstance(picture, np.ndarray):
        return _from_array(picture), lambda painted: _to_array(painted, picture.dtype)
    if isinstance(picture, Tensor):
        image = _checked(picture)
        return Picture(image.cpu(), None), lambda painted: painted.image.to(picture.device, picture.dtype)
    raise ImageError(f"a picture is a PIL image, a NumPy array or a tensor, not {type(picture).__name__}")


def _from_array(array: np.ndarray) -> Picture:
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        raise ImageError(f"an image array has the shape (H, W, 3) or (H, W, 4), not {array.shape}")
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"an image array is uint8, or float in [0, 1], not {array.dtype}")
    kind = array.dtype if array.dtype in (np.uint8, np.float16, np.float64) else np.float32  # of any byte order
    whole = torch.from_numpy(np.require(array, kind, ["C", "W"])).permute(2, 0, 1)
    image = _checked(whole[:3])
    if len(whole) == 3:
        return Picture(image, None)
    alpha = whole[3:].float().div(255 if whole.dtype == torch.uint8 else 1)
    if not bool(((alpha >= 0) & (alpha <= 1)).all()):
        raise ImageError("the fourth channel of an image array is its opacity, in [0, 1]")
    return Picture(image.masked_fill(alpha == 0, 255 if image.dtype == torch.uint8 else 1), alpha)


def _checked(image: Tensor) -> Tensor:
    """One image (3, H, W) as bytes or float32. Raises `ImageError`."""
    if image.dtype == torch.uint8 and image.ndim == 3 and len(image) == 3 and image.numel():
        return image.contiguous()
    check_image(image)
    if image.ndim != 3:
        raise ImageError(f"one picture has the shape (3, H, W), not {tuple(image.shape)}; paint a batch by a call")
    return image.float().contiguous()


def _to_array(painted: Picture, dtype: np.dtype) -> np.ndarray:
    image = painted.image
    if painted.alpha is not None:
        alpha = painted.alpha if image.is_floating_point() else as_bytes(painted.alpha)
        image = torch.cat([image, alpha])
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy().astype(dtype, copy=False))


def _to_pil(painted: Picture) -> Image.Image:
    array = _to_array(Picture(as_float(painted.image), painted.alpha), np.dtype(np.float32))
    return Image.fromarray((array * 255).round().astype(np.uint8))
