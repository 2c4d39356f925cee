"""Image files to image tensors and back: upright, sRGB, float32 in [0, 1] or bytes, shape (3, H, W)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from .errors import ImageError, one_line
from .files import atomic_write, check_place
from .formats.containers import open_container
from .formats.decode import decode, decode_pil, frame_count, upright_size
from .formats.encode import FORMATS, encode
from .formats.metadata import Metadata, read_metadata
from .formats.reading import opened
from .formats.transparency import mask_of
from .pixels import as_dtype
from .resize import check_size, fitted_size, interpolate, interpolate_straight

WRITABLE = set(FORMATS)  # suffixes
FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HEIF = {".heic", ".heif", ".hif"}


class Picture(NamedTuple):
    """A picture with its transparency and metadata.

    image: (3, H, W), float32 in [0, 1] or bytes, straight colours (not premultiplied), white where alpha is 0.
    alpha: (1, H, W), float32 in [0, 1]; None for an opaque picture.
    metadata: None if there is nothing to keep.
    """

    image: Tensor
    alpha: Tensor | None = None
    metadata: Metadata | None = None


def read_image(source: str | Path | BinaryIO) -> Tensor:
    """The picture in `source` (a path or a binary file) as float32 RGB, sRGB, upright, (3, H, W) in [0, 1].

    Transparent parts become white; `read_picture` keeps the transparency. Raises `ImageError`.
    """
    picture = read_picture(source)
    return picture.image if picture.alpha is None else lay_on_white(picture.image, picture.alpha)


def read_picture(source: str | Path | BinaryIO, dtype: torch.dtype = torch.float32, size: int | None = None) -> Picture:
    """The picture in `source` with its transparency and metadata; of an animation, the first frame.

    source: a path, or a binary file, which is left open.
    dtype: torch.float32; or torch.uint8 for an image of bytes, a quarter of the memory (alpha stays float).
    size: the longer side in px; None keeps the size.

    Integer pictures of more than 8 bits are read as 16 bits, float pictures as [0, 1].

    Raises `ImageError` for a file that is not a picture or is damaged, for values that are not finite or out of range,
    and for a picture that is too large for the free memory.
    """
    check_size(size)
    with opened(source) as file:
        image, alpha, metadata, full = decode(file, dtype, size)
        picture = Picture(image, alpha, metadata)
        if size is not None:
            picture = _resized(picture, fitted_size(*full, size))
        return picture._replace(image=as_dtype(picture.image, dtype))


def from_pil(picture: Image.Image) -> Picture:
    """A PIL image of any mode as a `Picture`: upright, sRGB, float32, with what it carries. Raises `ImageError`."""
    if 0 in picture.size:
        raise ImageError(f"the PIL image has no pixels: {picture.width} x {picture.height}")
    try:
        return Picture(*decode_pil(picture)[:3])
    except ImageError as error:
        raise ImageError(f"the PIL image {one_line(error)}") from error
    except Exception as error:  # a picture that is not decoded yet may be damaged in any way
        raise ImageError(f"the PIL image cannot be converted ({one_line(error)})") from error


def read_mask(source: str | Path | BinaryIO) -> Tensor:
    """Read a region's mask (H, W) in [0, 1]; 1 is inside the region. Raises `ImageError`.

    The mask of an opaque picture is its luminance: white is inside. The mask of a picture with transparency is:

    - luminance times alpha, if the visible part is grey with more than one shade, as in a mask;
    - alpha otherwise: everything visible is inside, whether it was brushed in one colour, black included, or is a
      subject that was cut out.

    The decision ignores pixels with less than a tenth of opacity, and 1 % of the others.
    """
    image, alpha, _ = read_picture(source)
    return mask_of(image, alpha)


def picture_size(source: str | Path | BinaryIO) -> tuple[int, int]:
    """Height and width in px, upright, of the picture in `source`, without decoding it. Raises `ImageError`."""
    with opened(source) as file:
        container = open_container(file)
        return upright_size(container, read_metadata(container)[1])


def own_suffix(source: str | Path | BinaryIO) -> str:
    """The suffix with which a picture is written in its own format; .jpg for HEIF, .png for others that only read.

    Raises `ImageError`.
    """
    with opened(source) as file:
        kind = open_container(file).kind
    return next((suffix for suffix, format in FORMATS.items() if format == kind), ".jpg" if kind == "HEIF" else ".png")


def frames(source: str | Path | BinaryIO) -> int:
    """How many frames the animation in `source` has (GIF, WebP, PNG, AVIF); 1 for a still. Raises `ImageError`."""
    with opened(source) as file:
        return frame_count(open_container(file))


def lay_on_white(image: Tensor, alpha: Tensor) -> Tensor:
    """`image` (3, H, W) as seen on a white page through `alpha` (1, H, W), both in [0, 1]."""
    return image * alpha + (1 - alpha)


def resize_image(image: Tensor, size: int) -> Tensor:
    """`image` (3, H, W), float in [0, 1] or bytes, scaled up or down so that its longer side has `size` px.

    Uses antialiased bicubic interpolation.

    Raises `ImageError` for an invalid image, for a size below 1, and for one beyond the free memory.
    """
    check_picture(Picture(image))
    return interpolate(image, _wanted_size(image, size))


def resize_picture(picture: Picture, size: int) -> Picture:
    """`picture` resized as by `resize_image`. The colours of transparent pixels do not bleed into visible ones.

    Raises `ImageError` as `resize_image` does.
    """
    check_picture(picture)
    return _resized(picture, _wanted_size(picture.image, size))


def _wanted_size(image: Tensor, size: int) -> tuple[int, int]:
    check_size(size)
    height, width = image.shape[1:]
    try:
        return fitted_size(height, width, size)
    except ImageError as error:
        raise ImageError(f"the picture {error}") from error


def _resized(picture: Picture, shape: tuple[int, int]) -> Picture:
    image, alpha, metadata = picture
    if image.shape[1:] == shape:
        return picture
    if alpha is None:
        return Picture(interpolate(image, shape), None, metadata)
    return Picture(*interpolate_straight(image, alpha, shape), metadata)


def check_image(image: Tensor) -> None:
    """Raise `ImageError` unless `image` is float, (3, H, W) or (B, 3, H, W), not empty, finite and in [0, 1]."""
    expected = "an image tensor is float, (3, H, W) or (B, 3, H, W), in [0, 1]"
    if not isinstance(image, Tensor) or image.dtype not in FLOATS:
        raise ImageError(f"{expected}; got {getattr(image, 'dtype', type(image).__name__)}")
    if image.layout != torch.strided or image.is_meta:
        raise ImageError(f"{expected}; got a {'meta' if image.is_meta else 'sparse'} tensor")
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or image.numel() == 0:
        raise ImageError(f"{expected}; got shape {tuple(image.shape)}")
    low, high = (float(value) for value in image.detach().aminmax())
    if not (low >= 0 and high <= 1):
        raise ImageError(f"{expected}; got values from {low:g} to {high:g}")


def check_picture(picture: Picture) -> None:
    """Raise `ImageError` unless the picture's image is (3, H, W), bytes, or valid for `check_image`,
    and its alpha, if any, is (1, H, W) in [0, 1].
    """
    image, alpha, _ = picture
    if not (isinstance(image, Tensor) and image.dtype == torch.uint8):
        check_image(image)
    if image.ndim != 3 or len(image) != 3 or not image.numel():
        raise ImageError(f"one picture has the shape (3, H, W), not {tuple(image.shape)}")
    if alpha is not None:
        if not isinstance(alpha, Tensor):
            raise ImageError(f"alpha is a tensor (1, H, W), not {type(alpha).__name__}")
        if alpha.shape != (1, *image.shape[1:]):
            raise ImageError(f"alpha has the shape (1, H, W) of its image, not {tuple(alpha.shape)}")
        try:
            check_image(alpha.expand(3, -1, -1))
        except ImageError as error:
            raise ImageError(f"as the alpha, {error}") from error


def check_output(path: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise `ImageError` unless a picture can be written at `path`: a known suffix, in an existing folder.

    inputs: files and folders that are read; they must not be replaced.
    """
    check_suffix(path)
    check_place(path, ImageError, inputs)


def check_suffix(path: str | Path) -> None:
    """Raise `ImageError` unless the suffix of `path` is that of a format which is written here."""
    if Path(path).suffix.lower() not in WRITABLE:
        known = ", ".join(sorted(WRITABLE))
        raise ImageError(f"cannot tell the format of {path}; its name should end in one of {known}")


def write_picture(path: str | Path, picture: Picture, keep_metadata: bool = True) -> None:
    """Write `picture` with 8 bits per channel, in the format of the suffix: JPEG, PNG, WebP, TIFF, AVIF, BMP or PPM.

    Transparency is kept if the format can hold it; otherwise the picture is put on white. JPEG is written at quality 95
    without chroma subsampling, and WebP with transparency is lossless. The file appears complete or not at all.

    keep_metadata: write the picture's metadata, as far as the format can hold it.

    Raises `ImageError`.
    """
    path = Path(path)
    check_output(path)
    encoded = encode_picture(path.suffix, picture, keep_metadata, str(path))
    with atomic_write(path, ImageError) as temporary:
        temporary.write_bytes(encoded)  # Pillow itself can miss that the disk is full


def encode_picture(suffix: str, picture: Picture, keep_metadata: bool = True, name: str = "the picture") -> memoryview:
    """The bytes that `write_picture` writes into a file with this suffix.

    name: what errors call the picture. Raises `ImageError`.
    """
    if suffix.lower() not in WRITABLE:
        raise ImageError(f"no picture is written as {suffix}; use one of {', '.join(sorted(WRITABLE))}")
    check_picture(picture)
    image, alpha = _bytes_of(picture.image), None if picture.alpha is None else _bytes_of(picture.alpha)
    try:
        return encode(suffix.lower(), image, alpha, picture.metadata if keep_metadata else None).getbuffer()
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot write {name}: {error}") from error


def _bytes_of(part: Tensor) -> Tensor:
    part = part.detach().cpu()
    return as_dtype(part.float() if part.is_floating_point() else part, torch.uint8)


def write_image(path: str | Path, image: Tensor, alpha: Tensor | None = None) -> None:
    """Write `image`, (3, H, W), float in [0, 1] or bytes, sRGB, straight colours, as `write_picture` does.

    alpha: (1, H, W) in [0, 1]. Raises `ImageError`.
    """
    write_picture(path, Picture(image, alpha))
