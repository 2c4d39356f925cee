"""Picture files to tensors: upright, in sRGB, straight colours beside their transparency, within the free memory."""

from __future__ import annotations

import io
import math
import struct
from contextlib import suppress
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import GifImagePlugin, Image, TiffImagePlugin
from torch import Tensor

from ..device import free_memory
from ..errors import ImageError
from .containers import Container, ends_in_zeros, open_container, with_end
from .metadata import ORIENTATION, Metadata, read_metadata
from .profiles import described_profile, grey_curve, linear_to_srgb, to_srgb
from .transparency import split_alpha

LARGE = 1 << 25  # pixels; a larger picture is decoded to bytes if it will be resized anyway
UNCHECKED = 1 << 24  # pixels; up to this size, the free memory is not checked
PAINTING_BYTES = 40  # per pixel: picture and painting as bytes, and the features that strips keep
DECODING_BYTES = 12  # per pixel: Pillow's picture, twice if it is turned, and the picture as bytes
BAND_PIXELS = 1 << 22  # converted at a time
PHOTOMETRIC = 262  # the tag of a TIFF that says which number is white
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ENDS = (b"\xff\xd9", bytes((37 * i * i + 101 * i) % 255 for i in range(1 << 14)) + b"\xff\xd9")  # see `_complete`


class Decoded(NamedTuple):
    """image: (3, H, W), bytes or float32 in [0, 1]; alpha: (1, H, W), or None; size: height, width in the file, px."""

    image: Tensor
    alpha: Tensor | None
    metadata: Metadata | None
    size: tuple[int, int]


def decode(source: BinaryIO, dtype: torch.dtype, size: int | None) -> Decoded:
    """Read a picture. dtype: float32 or uint8; size: the longer side wanted, in px.

    If `size` is given, the result may be smaller than the picture in the file, but not smaller than `size`, and may be
    bytes although float was asked for. Raises `ImageError`, without the file's name, and Pillow's errors.
    """
    container = open_container(source)
    metadata, orientation = read_metadata(container)
    height, width = upright_size(container, orientation)
    _draft(container.opened, size)
    check_memory(*container.opened.size[::-1], reduced=size is not None and size < max(height, width))
    extents = _extents(container.opened)
    negative = _is_negative(container.opened)
    opened = _load(container, size)
    if size is not None and math.prod(opened.size) > LARGE:
        dtype = torch.uint8
    picture, transparency = split_alpha(container, opened, extents)
    info = container.info
    del opened, container  # whose pixels take memory
    image, alpha = _to_tensors(picture, transparency, orientation, info, dtype)
    if negative:
        image = (255 if dtype == torch.uint8 else 1) - image
    return Decoded(image, alpha, metadata, (height, width))


def decode_pil(picture: Image.Image) -> Decoded:
    """A PIL image of any mode, opened by Pillow or made in memory, to float. Raises what Pillow raises."""
    picture.load()
    info = {key: picture.info[key] for key in ("gamma", "chromaticity") if key in picture.info}
    container = Container("", picture, io.BytesIO(), info | ({"srgb": True} if "srgb" in picture.info else {}))
    metadata, _ = read_metadata(container)
    orientation = 1
    with suppress(Exception):
        orientation = picture.getexif().get(ORIENTATION, 1)
    plain, transparency = split_alpha(container, picture, None)
    image, alpha = _to_tensors(plain, transparency, orientation, container.info, torch.float32)
    height, width = image.shape[1:]
    return Decoded(image, alpha, metadata, (height, width))


def _extents(opened: Image.Image) -> tuple[int, int, int, int] | None:
    """Where a GIF's frame, not yet decoded, lies in the picture: left, top, right, bottom; None for another format."""
    return opened.tile[0][1] if isinstance(opened, GifImagePlugin.GifImageFile) and opened.tile else None


def _is_negative(opened: Image.Image) -> bool:
    """Whether 0 is white in a TIFF of more than 8 bits, which Pillow gives as it is; others it turns by itself."""
    if not isinstance(opened, TiffImagePlugin.TiffImageFile):
        return False
    return opened.tag_v2.get(PHOTOMETRIC) == 0 and opened.mode.startswith(("I", "F"))


def _to_tensors(
    picture: Image.Image, alpha: Image.Image | None, orientation: int, info: dict, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """The image, white where it is fully transparent, and its transparency, as upright tensors."""
    turn = TURNS.get(orientation)
    if turn is not None:
        picture, alpha = picture.transpose(turn), alpha and alpha.transpose(turn)
    image = _to_tensor(picture, info, dtype)
    if alpha is None or alpha.getextrema()[0] == 255:
        return image, None
    share = torch.from_numpy(np.array(alpha))[None]
    image.masked_fill_(share == 0, 255 if dtype == torch.uint8 else 1)
    return image, share.to(torch.float32).div_(255)


def upright_size(container: Container, orientation: int) -> tuple[int, int]:
    """Height and width in px, upright, of the picture in `container`, which is not decoded yet."""
    width, height = container.opened.size
    if container.tiff is not None:  # versions of Pillow differ in whether the size is of before or after turning
        tags = container.tiff.tag_v2
        width, height, orientation = tags[256], tags[257], tags.get(274, 1)
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def frame_count(container: Container) -> int:
    """How many pictures an animation has; 1 for any other file."""
    if container.kind == "PNG":
        return max(1, container.info.get("frames", 1))
    return max(1, getattr(container.opened, "n_frames", 1)) if container.kind in ("GIF", "WEBP", "AVIF") else 1


def check_memory(height: int, width: int, reduced: bool = False) -> None:
    """Raise `ImageError` if a picture of height x width px is too large for the free memory.

    reduced: whether it is made smaller right after reading, so that only reading takes memory.
    """
    if height * width <= UNCHECKED:
        return
    need = height * width * (DECODING_BYTES if reduced else PAINTING_BYTES)
    if need > (free := free_memory(torch.device("cpu"))):
        work = "reading" if reduced else "painting"
        way = "" if reduced else "; --size paints it smaller"
        raise ImageError(
            f"is {width} x {height} pixels: {work} it takes about {need / 1e9:.1f} GB of memory, "
            f"and {free / 1e9:.1f} GB are free{way}"
        )


def _draft(opened: Image.Image, size: int | None) -> None:
    """Decode a JPEG at a half, a quarter or an eighth, if that leaves at least twice the `size` wanted."""
    if size is not None and opened.format == "JPEG" and size < max(opened.size):
        scale, (width, height) = 2 * size / max(opened.size), opened.size
        opened.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))


def _load(container: Container, size: int | None) -> Image.Image:
    """Decode the picture in `container`, even a JPEG whose end is missing."""
    if container.kind != "JPEG":
        container.opened.load()
        return container.opened
    reason = "its end is missing"
    if not ends_in_zeros(container):  # a decoder would take them for pixels
        try:
            container.opened.load()
            return container.opened
        except OSError as error:
            reason = str(error)
    completed = _complete(container, size)
    if completed is None:
        raise ImageError(f"is damaged and cannot be read ({reason})")
    return completed


def _complete(container: Container, size: int | None) -> Image.Image | None:
    """The JPEG in `container` if only its end mark is missing.

    A decoder reads missing pixels from whatever follows. So pixels are missing if two different ends give two pictures.
    """
    pictures = []
    for end in ENDS:
        opened = with_end(container, end)
        _draft(opened, size)
        opened.load()
        pictures.append(opened)
    return pictures[0] if _same(*pictures) else None


def _same(one: Image.Image, other: Image.Image) -> bool:
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(one.split(), other.split(), strict=True))


def _to_tensor(picture: Image.Image, info: dict, dtype: torch.dtype) -> Tensor:
    """(3, H, W), bytes or float32 in [0, 1], in sRGB; integers of more than 8 bits are taken as 16 bits."""
    nclx = picture.info.get("nclx_profile")
    if isinstance(nclx, dict):
        codes = (nclx.get("color_primaries", 2), nclx.get("transfer_characteristics", 2))
        info = {"cicp": (*(int(code) for code in codes), 0, 1)} | info
    profile = _profile(info, picture)
    if picture.mode.startswith(("I", "F")):
        return _deep_to_tensor(np.asarray(picture), grey_curve(profile), dtype)[None].expand(3, -1, -1).contiguous()
    image = torch.empty(3, picture.height, picture.width, dtype=dtype)
    rows = max(1, BAND_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(picture.height, top + rows)))
        image[:, top : top + rows] = torch.from_numpy(np.array(to_srgb(band, profile))).permute(2, 0, 1)
    return image if dtype == torch.uint8 else image.div_(255)


def _profile(info: dict, picture: Image.Image) -> bytes | None:
    icc = picture.info.get("icc_profile")
    try:
        return described_profile(({"icc": icc} if isinstance(icc, bytes) else {}) | info)
    except (ArithmeticError, ValueError, struct.error, np.linalg.LinAlgError):
        return info.get("icc")


def _deep_to_tensor(pixels: np.ndarray, curve: np.ndarray | None, dtype: torch.dtype) -> Tensor:
    low, high = float(pixels.min()), float(pixels.max())
    most = 1 if pixels.dtype.kind == "f" else 65535
    if not (low >= 0 and high <= most):
        values = "not all finite" if math.isnan(low) or math.isinf(high - low) else f"from {low:g} to {high:g}"
        raise ImageError(f"has values that are {values}; such a picture is read where they are in 0..{most}")
    steps = np.linspace(0, 1, 65536)
    if curve is not None:
        steps = linear_to_srgb(np.interp(steps, np.linspace(0, 1, len(curve)), curve))
    table = steps * 255 + 0.5 if dtype == torch.uint8 else steps
    table = table.astype(np.uint8 if dtype == torch.uint8 else np.float32)
    if most == 1 and dtype != torch.uint8 and curve is None:
        return torch.from_numpy(pixels.astype(np.float32))
    index = pixels.astype(np.uint16) if most > 1 else (pixels * 65535 + 0.5).astype(np.uint16)
    return torch.from_numpy(table[index])
