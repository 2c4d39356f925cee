"""Image files <-> image tensors: upright, sRGB, float32 in [0, 1], shape (3, H, W)."""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import ImageError
from .files import atomic_write, check_place

WITH_ALPHA = {".png", ".webp", ".tif", ".tiff", ".avif"}  # formats written here that can hold transparency
WRITABLE = WITH_ALPHA | {".jpg", ".jpeg", ".bmp", ".ppm"}
HEIF = {".heic", ".heif", ".hif"}
SAVE_OPTIONS = {  # nearly lossless: strokes are high frequencies, and chroma subsampling smears them
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".avif": {"quality": 90, "subsampling": "4:4:4"},
}


class Picture(NamedTuple):
    """image: (3, H, W), transparent parts laid on white; alpha: (1, H, W) in [0, 1], None for an opaque picture."""

    image: Tensor
    alpha: Tensor | None


def read_image(source: str | Path | BinaryIO) -> Tensor:
    """The picture in `source` (a path or a binary file) as float32 RGB, sRGB, upright, (3, H, W) in [0, 1].

    Transparent parts are laid on white; `read_picture` gives the transparency too. Raises `ImageError`.
    """
    return read_picture(source).image


def read_picture(source: str | Path | BinaryIO, dtype: torch.dtype = torch.float32) -> Picture:
    """As `read_image`, with the transparency kept beside it. Of an animation, the first frame. Raises `ImageError`.

    dtype: torch.float32, or torch.uint8 for the image as bytes (alpha stays float), a quarter of the memory.
    """
    name = str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "the picture")
    if isinstance(source, (str, Path)):
        source = _open(Path(source))
    with source, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are nothing a user could act on
        try:
            with Image.open(source) as opened:
                return _decode(opened, dtype)
        except Image.DecompressionBombError as error:
            raise ImageError(f"{name} has more pixels than are safe to open ({error})") from error
        except UnidentifiedImageError as error:
            raise ImageError(f"{name} is not a picture, or of a format unknown here") from error
        except Exception as error:  # broken bytes make decoders raise almost anything
            raise ImageError(f"{name} is damaged and cannot be read ({error})") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() in HEIF:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise ImageError(f"{path} needs a plug-in to be read: pip install pillow-heif") from error
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{path} is empty")
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error


def from_pil(picture: Image.Image) -> Picture:
    """A PIL image of any mode as a `Picture`: upright, sRGB, float32. Raises `ImageError`."""
    try:
        return _decode(picture, torch.float32)
    except (OSError, ValueError) as error:
        raise ImageError(f"the PIL image cannot be converted ({error})") from error


def _decode(opened: Image.Image, dtype: torch.dtype) -> Picture:
    profile = opened.info.get("icc_profile")
    picture = ImageOps.exif_transpose(opened)
    alpha = None
    if picture.has_transparency_data:
        alpha = _to_tensor(picture.convert("RGBA").getchannel("A"), torch.float32)
        picture = picture.convert("L" if picture.mode in ("LA", "La") else "RGB")
    if picture.mode.startswith(("I", "F")):
        image = _to_tensor(picture, dtype).expand(3, -1, -1).contiguous()
    else:
        image = _to_tensor(_to_srgb(picture, profile), dtype)
    if alpha is None or bool((alpha == 1).all()):
        return Picture(image, None)
    return Picture(_as(lay_on_white(_as(image, torch.float32), alpha), dtype), alpha)


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile, or one for other channels than the picture's: viewers ignore it too
    return picture.convert("RGB")


def _to_tensor(picture: Image.Image, dtype: torch.dtype) -> Tensor:
    """(C, H, W), float32 in [0, 1] or bytes; integer modes "I" are taken as 16 bits, float ones as [0, 1] already."""
    if picture.mode in ("L", "RGB"):
        tensor = torch.from_numpy(np.array(picture))
    else:
        full = 1.0 if picture.mode == "F" else 65535.0
        tensor = torch.from_numpy(np.array(picture, dtype=np.float32)).div_(full).clamp_(0, 1)
    return _as(tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous(), dtype)


def _as(image: Tensor, dtype: torch.dtype) -> Tensor:
    """`image` as bytes (uint8) or as float32 in [0, 1], whichever of the two it is now."""
    if image.dtype == dtype:
        return image
    return (image * 255).round().to(dtype) if dtype == torch.uint8 else image.to(dtype).div_(255)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Height and width in px, upright, of the picture at `path`, without decoding it. Raises `ImageError`."""
    with _open(Path(path)) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(source) as opened:
                turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
                return (opened.width, opened.height) if turned else (opened.height, opened.width)
        except Exception as error:
            raise ImageError(f"{path} is not a picture that can be read ({error})") from error


def read_mask(source: str | Path) -> Tensor:
    """A region's mask (h, w) in [0, 1]: the mean of the picture's channels; white is in. Raises `ImageError`."""
    return read_image(source).mean(0)


def lay_on_white(image: Tensor, alpha: Tensor) -> Tensor:
    """`image` (3, H, W) as seen on a white page through `alpha` (1, H, W), both in [0, 1]."""
    return image * alpha + (1 - alpha)


def resize_image(image: Tensor, size: int) -> Tensor:
    """`image` (C, H, W), float in [0, 1] or bytes, with its longer side made `size` px, up or down.

    By antialiased bicubic interpolation.

    Raises `ImageError` where size is below 1.
    """
    if size < 1:
        raise ImageError(f"a size is at least 1 pixel, not {size}")
    height, width = image.shape[1:]
    scale = size / max(height, width)
    if scale == 1:
        return image
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    resized = F.interpolate(image[None], shape, mode="bicubic", antialias=True)[0]
    return resized if image.dtype == torch.uint8 else resized.clamp(0, 1)


def check_image(image: Tensor) -> None:
    """Raise `ImageError` unless `image` is float, (3, H, W) or (B, 3, H, W), not empty, finite and in [0, 1]."""
    expected = "an image tensor is float, (3, H, W) or (B, 3, H, W), in [0, 1]"
    if not isinstance(image, Tensor) or not image.is_floating_point():
        raise ImageError(f"{expected}; got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or image.numel() == 0:
        raise ImageError(f"{expected}; got shape {tuple(image.shape)}")
    low, high = (float(value) for value in image.aminmax())
    if not (low >= 0 and high <= 1):
        raise ImageError(f"{expected}; got values from {low:g} to {high:g}")


def check_picture(picture: Picture) -> None:
    """Raise `ImageError` unless the picture's image is (3, H, W), bytes or as `check_image` wants it."""
    if not (isinstance(picture.image, Tensor) and picture.image.dtype == torch.uint8):
        check_image(picture.image)
    if picture.image.ndim != 3 or len(picture.image) != 3 or not picture.image.numel():
        raise ImageError(f"one picture has the shape (3, H, W), not {tuple(picture.image.shape)}")


def check_output(path: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise `ImageError` unless a picture can be written at `path`: a known suffix, in a folder, none of the inputs."""
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        known = ", ".join(sorted(WRITABLE))
        raise ImageError(f"cannot tell the format of {path}; its name should end in one of {known}")
    check_place(path, ImageError, inputs)


def write_image(path: str | Path, image: Tensor, alpha: Tensor | None = None) -> None:
    """Write `image`, (3, H, W), float in [0, 1] or bytes, sRGB, as 8 bits a channel in the format of the suffix.

    alpha: (1, H, W) in [0, 1], kept where the format can hold it, otherwise the picture is laid on white. JPEG is
    written at quality 95 without chroma subsampling. The file appears complete or not at all. Raises `ImageError`.
    """
    path = Path(path)
    check_output(path)
    if image.dtype != torch.uint8:
        check_image(image)
    if image.ndim != 3:
        raise ImageError(f"one picture a file: expected shape (3, H, W), got {tuple(image.shape)}")
    image = image.detach().cpu()
    if alpha is not None:
        image = _as(image, torch.float32)
        image = torch.cat([image, alpha]) if path.suffix.lower() in WITH_ALPHA else lay_on_white(image, alpha)
    array = _as(image.float() if image.is_floating_point() else image, torch.uint8).permute(1, 2, 0).numpy()
    format = Image.registered_extensions()[path.suffix.lower()]
    encoded = io.BytesIO()  # not the file itself: Pillow can miss that a disk became full
    try:
        Image.fromarray(np.ascontiguousarray(array)).save(encoded, format, **SAVE_OPTIONS.get(path.suffix.lower(), {}))
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot write {path}: {error}") from error
    with atomic_write(path, ImageError) as temporary:
        temporary.write_bytes(encoded.getbuffer())
