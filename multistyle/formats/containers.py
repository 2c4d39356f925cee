"""Open picture files by content, whatever their names, and give Pillow only what it needs to decode the pixels.

Pillow tries every format it knows, PostScript included, and stops at a PNG or a JPEG whose metadata is odd. Its limits
are global variables, which threads share with each other and with the host program. So this
module recognizes the format by the first bytes, reads the metadata of PNG and JPEG itself, and changes no variable of
Pillow.
"""

from __future__ import annotations

import importlib
import io
import re
import struct
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from PIL import Image, ImageFile, TiffImagePlugin

from ..errors import ImageError
from .jpeg_segments import read_jpeg_segments
from .png_chunks import read_png_chunks

PLUGINS = {  # Pillow's module and class for each format that is read
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PSD": ("PIL.PsdImagePlugin", "PsdImageFile"),
    "QOI": ("PIL.QoiImagePlugin", "QoiImageFile"),
    "ICO": ("PIL.IcoImagePlugin", "IcoImageFile"),
    "TGA": ("PIL.TgaImagePlugin", "TgaImageFile"),  # has no signature, so it comes last
}
MARKS = [  # regular expressions for the first bytes of a file, and the formats that they may indicate
    (rb"\xff\xd8\xff", ("JPEG",)),
    (rb"\x89PNG\r\n\x1a\n", ("PNG",)),
    (rb"RIFF....WEBP", ("WEBP",)),
    (rb"II[*+]\0|MM\0[*+]", ("TIFF",)),
    (rb"....ftypavi[fs]", ("AVIF",)),
    (rb"....ftyp(mif1|msf1)", ("AVIF", "HEIF")),
    (rb"....ftyp(hei[cxms]|hev[cxms])", ("HEIF",)),
    (rb"GIF8[79]a", ("GIF",)),
    (rb"BM", ("BMP",)),
    (rb"P[1-7fFy][\s\d]", ("PPM",)),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", ("JPEG2000",)),
    (rb"8BPS", ("PSD",)),
    (rb"qoif", ("QOI",)),
    (rb"\x00\x00\x01\x00", ("ICO",)),
    (rb"", ("TGA",)),
]
BOXED = ("AVIF", "HEIF")  # formats made of boxes, in which EXIF is an item with a type
HEAD = 1 << 16  # bytes in which the boxes that describe a picture lie
NOT_A_PICTURE = "is not a picture, or of a format unknown here"


@dataclass
class Container:
    """An open picture file.

    kind: its format, a key of `PLUGINS`.
    opened: the picture, not yet decoded.
    pixels: the stream that `opened` reads.
    info: what PNG and JPEG say about their picture, under the names in `png_chunks`.
    """

    kind: str
    opened: Image.Image
    pixels: BinaryIO
    info: dict = field(default_factory=dict)

    @property
    def tiff(self) -> TiffImagePlugin.TiffImageFile | None:
        """The picture as Pillow's TIFF, with its tags; None for another format."""
        return self.opened if self.kind == "TIFF" and isinstance(self.opened, TiffImagePlugin.TiffImageFile) else None


def open_container(source: BinaryIO) -> Container:
    """The picture in the binary, seekable `source`. Raises `ImageError`, without the file's name."""
    source.seek(0)
    head = source.read(32)
    *first, last = next(kinds for mark, kinds in MARKS if re.match(mark, head, re.DOTALL))
    for kind in first:
        with suppress(Exception):
            return _open(kind, source)
    return _open(last, source)


def _open(kind: str, source: BinaryIO) -> Container:
    if kind in ("PNG", "JPEG"):
        parts, info = (read_png_chunks if kind == "PNG" else read_jpeg_segments)(source)
        pixels = splice(source, parts)
        return Container(kind, open_as(kind, pixels), pixels, info)
    try:
        opened = open_as(kind, source)
        coded = kind == "AVIF" and not opened.info.get("icc_profile")  # a profile comes first
        return Container(kind, opened, source, _coded_colours(source) if coded else {})
    except Exception:
        if kind not in BOXED or (container := _open_without_exif(kind, source)) is None:
            raise
        return container


def _coded_colours(source: BinaryIO) -> dict:
    """The codes of an AVIF's colours as `cicp`, if it has any; Pillow does not tell them."""
    source.seek(0)
    found = re.search(rb"colrnclx(.{4})", source.read(HEAD), re.DOTALL)
    return {} if found is None else {"cicp": (*struct.unpack(">2H", found[1]), 0, 1)}


def open_as(kind: str, stream: BinaryIO) -> ImageFile.ImageFile:
    """Pillow's picture of the format `kind` in `stream`. Raises `ImageError` if it is not such a picture."""
    module, name = PLUGINS[kind]
    try:
        plugin = getattr(importlib.import_module(module), name)
    except ImportError as error:
        package = "pillow-heif" if kind == "HEIF" else "--upgrade pillow"
        raise ImageError(f"is {kind}, which needs a plug-in to be read: pip install {package}") from error
    stream.seek(0)
    try:
        return plugin(stream)
    except SyntaxError as error:  # Pillow's way to say so
        text = NOT_A_PICTURE if kind == "TGA" else f"is damaged, or {kind} of an unusual kind, and cannot be read"
        raise ImageError(f"{text} ({error})" if str(error) and kind != "TGA" else text) from error


def _open_without_exif(kind: str, source: BinaryIO) -> Container | None:
    """Open without EXIF, which can stop the plug-ins of boxed formats; None if that does not help."""
    source.seek(0)
    data, count = re.subn(rb"(infe.{8})Exif", rb"\1skip", source.read(), flags=re.DOTALL)
    if not count:
        return None
    stream = io.BytesIO(data)
    try:
        return Container(kind, open_as(kind, stream), stream)
    except Exception:
        return None


def ends_in_zeros(container: Container) -> bool:
    """Whether the file ends in zeros, as after an interrupted download."""
    container.pixels.seek(-16, io.SEEK_END)
    return container.pixels.read() == bytes(16)


def with_end(container: Container, end: bytes) -> ImageFile.ImageFile:
    """The JPEG in `container` with `end` appended to what there is."""
    container.pixels.seek(0)
    data = container.pixels.read().rstrip(b"\0")  # some programs pad with zeros
    data += b"\0" if data.endswith(b"\xff") else b""  # that zero belonged to it
    return open_as("JPEG", io.BytesIO(data + end))


def splice(source: BinaryIO, parts: list[bytes | tuple[int, int]]) -> BinaryIO:
    """A stream that joins `parts`: bytes, or (start, length) in `source`. Nothing is copied from `source`."""
    return io.BufferedReader(_Spliced(source, parts), 1 << 16)


class _Spliced(io.RawIOBase):
    def __init__(self, source: BinaryIO, parts: list[bytes | tuple[int, int]]) -> None:
        self.source, self.parts, self.at, self.starts = source, parts, 0, [0]
        for part in parts:
            self.starts.append(self.starts[-1] + (len(part) if isinstance(part, bytes) else part[1]))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.starts[-1]}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: Any) -> int:  # a writable buffer, which Python 3.11 has no type for
        target = memoryview(buffer).cast("B")
        if self.at >= self.starts[-1]:
            return 0
        index = bisect_right(self.starts, self.at) - 1
        part, inside = self.parts[index], self.at - self.starts[index]
        count = min(len(target), self.starts[index + 1] - self.at)
        if isinstance(part, tuple):
            self.source.seek(part[0] + inside)
            data = self.source.read(count)
        else:
            data = part[inside : inside + count]
        target[: len(data)] = data
        self.at += len(data)
        return len(data)
