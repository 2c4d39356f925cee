"""Recognize a video file whose end is missing, by the sizes stored in its outermost parts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

STRUCTURED = ("mov", "matroska")  # prefixes of FFmpeg's names of the formats that `is_cut_short` knows
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def is_cut_short(path: Path) -> bool:
    """Whether the MP4, MOV, Matroska or WebM file at `path` ends within one of its outermost parts."""
    whole = path.stat().st_size
    with path.open("rb") as file:
        matroska = file.read(4) == EBML
        file.seek(0)
        while file.tell() < whole:
            size = _element(file) if matroska else _box(file)
            if size is None:
                return False
            if file.tell() + size > whole:
                return True
            file.seek(size, os.SEEK_CUR)
    return False


def _element(file: BinaryIO) -> int | None:
    """The size of the rest of the EBML element that begins here; None if it is not given."""
    identity, first = file.read(4), file.read(1)
    if identity not in (EBML, SEGMENT) or not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()  # bytes
    size = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + file.read(more), "big")
    return None if size == (1 << 7 * (more + 1)) - 1 else size


def _box(file: BinaryIO) -> int | None:
    """The size of the rest of the ISO box that begins here; None if it is not given."""
    size, head = int.from_bytes(file.read(4), "big"), 8
    file.read(4)
    if size == 1:
        size, head = int.from_bytes(file.read(8), "big"), 16
    return size - head if size >= head else None
