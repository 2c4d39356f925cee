"""Read the segments of a JPEG: what decodes its pixels, and what describes it, under the names in `png_chunks`."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

BLOCK = 1 << 16  # bytes of padding, skipped at once


def read_jpeg_segments(source: BinaryIO) -> tuple[list[bytes | tuple[int, int]], dict]:
    """The parts of a JPEG that decode its pixels, as `splice` takes them, and what the other segments say."""
    info: dict = {"profiles": {}}
    parts: list[bytes | tuple[int, int]] = [(0, 2)]
    at, end = 2, source.seek(0, io.SEEK_END)
    while at < end:
        source.seek(at)
        head = source.read(4)
        marker, length = head[1:2], int.from_bytes(head[2:], "big")
        if head[:2] == b"\xff\xff":  # a marker may be padded
            source.seek(at)
            block = source.read(BLOCK)
            at += max(1, len(block) - len(block.lstrip(b"\xff")) - 1)
            continue
        if len(head) < 4 or head[:1] != b"\xff" or not 0xC0 <= marker[0] <= 0xFE or 0xD0 <= marker[0] <= 0xDA:
            break  # the pixels, or something that only the decoder can judge
        if (0xE0 <= marker[0] <= 0xEF and marker[0] not in (0xE0, 0xEE)) or marker == b"\xfe":
            _note_segment(info, marker, source.read(max(0, length - 2)))
        else:
            if marker == b"\xe0":
                _note_density(info, source.read(max(0, length - 2)))
            parts.append((at, length + 2))
        at += length + 2
    parts.append((at, end - at))
    profiles = info.pop("profiles")
    if profiles and set(profiles) == set(range(1, max(profiles) + 1)):
        info["icc"] = b"".join(profiles[number] for number in sorted(profiles))
    return parts, info


def _note_segment(info: dict, marker: bytes, data: bytes) -> None:
    if marker == b"\xe1" and data.startswith(b"Exif\0"):
        info["exif"] = info.get("exif", b"") + data[6:]
    elif marker == b"\xe1" and data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        info.setdefault("xmp", data[29:])
    elif marker == b"\xe2" and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
        info["profiles"][data[12]] = data[14:]
    elif marker == b"\xed" and data.startswith(b"Photoshop 3.0\0"):
        info.setdefault("photoshop", data[14:])
    elif marker == b"\xfe":
        info.setdefault("texts", {})["Comment"] = data.rstrip(b"\0").decode("utf-8", "replace")


def _note_density(info: dict, data: bytes) -> None:
    if data.startswith(b"JFIF\0") and len(data) >= 12:
        unit, *density = struct.unpack(">BHH", data[7:12])
        if unit in (1, 2):
            info["dpi"] = tuple(value * (2.54 if unit == 2 else 1) for value in density)
