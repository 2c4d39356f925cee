"""Read the chunks of a PNG: what decodes its pixels, and what describes it.

Names in `info`, here and for JPEG: exif (bytes of a TIFF structure), xmp (bytes), icc (bytes), dpi (two numbers), texts
(dict of str), photoshop (bytes); for PNG alone: depth and colour (of its header), trns (bytes), gamma, chromaticity
(eight numbers), srgb (True), cicp (four numbers), frames (of an animation).
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from typing import BinaryIO

DECODING = {b"IHDR", b"PLTE", b"IDAT"}
LARGEST = 1 << 25  # bytes of a chunk of metadata, and of all that is unpacked; what is larger is skipped
XMP, OLD_EXIF = "XML:com.adobe.xmp", "Raw profile type exif"  # the latter is ImageMagick's, from before eXIf
KEYWORDS = {  # of the texts that are read
    *("Author", "Copyright", "Description", "Title", "Creation Time", "Disclaimer", "Warning", "Source", "Comment"),
    *(XMP, OLD_EXIF),
}
END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


def read_png_chunks(source: BinaryIO) -> tuple[list[bytes | tuple[int, int]], dict]:
    """The parts of the PNG `source` that decode its pixels, as `splice` takes them, and what the other chunks say."""
    info: dict = {"texts": {}, "room": LARGEST}
    parts: list[bytes | tuple[int, int]] = [(0, 8)]
    at = 8
    while True:
        source.seek(at)
        head = source.read(8)
        if len(head) < 8 or not head[4:].isalpha() or head[4:] == b"IEND":
            break
        length, name = struct.unpack(">I4s", head)
        if name in DECODING:
            parts.append((at, length + 12))
        reader = READERS.get(name)
        if reader is not None and length <= LARGEST:
            with suppress(Exception):  # metadata never stops a picture whose pixels can be read
                reader(info, source.read(length))
        at += length + 12
    del info["room"]
    return [*parts, END], info


def _unpack(info: dict, data: bytes) -> bytes:
    """Raises ValueError if there is no room; half of the room is then given up, which limits the work on such data."""
    room, unpacker = info["room"], zlib.decompressobj()
    unpacked = unpacker.decompress(data, max(1, room))
    info["room"] = room // 2 if unpacker.unconsumed_tail else room - len(unpacked)
    if unpacker.unconsumed_tail:
        raise ValueError("too large")
    return unpacked


def _header(info: dict, data: bytes) -> None:
    info["depth"], info["colour"] = data[8], data[9]


def _profile(info: dict, data: bytes) -> None:
    info["icc"] = _unpack(info, data.split(b"\0", 1)[1][1:])


def _chromaticity(info: dict, data: bytes) -> None:
    info["chromaticity"] = tuple(value / 100_000 for value in struct.unpack(">8I", data[:32]))


def _resolution(info: dict, data: bytes) -> None:
    across, down, unit = struct.unpack(">IIB", data[:9])
    if unit == 1:
        info["dpi"] = (across * 0.0254, down * 0.0254)


def _text(info: dict, data: bytes) -> None:
    key, value = _keyword(data)
    _note(info, key, value.decode("latin-1"))


def _packed_text(info: dict, data: bytes) -> None:
    key, value = _keyword(data)
    _note(info, key, _unpack(info, value[1:]).decode("latin-1"))


def _unicode_text(info: dict, data: bytes) -> None:
    key, rest = _keyword(data)
    value = rest[2:].split(b"\0", 2)[2]
    value = _unpack(info, value) if rest[0] else value
    if key == XMP:
        info["xmp"] = value
    else:
        _note(info, key, value.decode("utf-8"))


def _keyword(data: bytes) -> tuple[str, bytes]:
    """A text's keyword and what follows. Raises ValueError for a keyword that is not read."""
    key, rest = data.split(b"\0", 1)
    if key.decode("latin-1") not in KEYWORDS:
        raise ValueError("not read")
    return key.decode("latin-1"), rest


def _note(info: dict, key: str, value: str) -> None:
    if key == OLD_EXIF:
        data = bytes.fromhex("".join(value.split("\n")[3:]))
        info.setdefault("exif", data.removeprefix(b"Exif\0\0"))
    else:
        info["texts"][key] = value


READERS = {
    b"IHDR": _header,
    b"tRNS": lambda info, data: info.update(trns=data),
    b"iCCP": _profile,
    b"gAMA": lambda info, data: info.update(gamma=struct.unpack(">I", data[:4])[0] / 100_000),
    b"cHRM": _chromaticity,
    b"sRGB": lambda info, data: info.update(srgb=True),
    b"cICP": lambda info, data: info.update(cicp=struct.unpack("4B", data[:4])),
    b"eXIf": lambda info, data: info.update(exif=data.removeprefix(b"Exif\0\0")),
    b"pHYs": _resolution,
    b"tEXt": _text,
    b"zTXt": _packed_text,
    b"iTXt": _unicode_text,
    b"acTL": lambda info, data: info.update(frames=struct.unpack(">I", data[:4])[0]),
}
