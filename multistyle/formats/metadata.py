"""The metadata of a picture: EXIF, XMP, resolution, copyright and other texts."""

from __future__ import annotations

import math
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from PIL import Image, TiffImagePlugin

from .containers import Container

ORIENTATION = 0x0112
WIDTHS, HEIGHTS = {0x0100, 0xA002}, {0x0101, 0xA003}  # tags with the picture's size in px
EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825
THUMBNAIL, THUMBNAIL_BYTES = 0x0201, 0x0202
TEXT_TAGS = {"Description": 0x010E, "Author": 0x013B, "Copyright": 0x8298}  # of EXIF, by the keywords of PNG
KEPT_TAGS = {*TEXT_TAGS.values(), 0x010F, 0x0110, 0x0131, 0x0132}  # of TIFF, with make, model, software, date
IPTC = {80: "Author", 116: "Copyright", 120: "Description", 5: "Title"}
UNIT_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # by EXIF's types


@dataclass(frozen=True)
class Metadata:
    """What is kept of a picture's metadata; the orientation is reset, the thumbnail dropped."""

    exif: bytes | None = None  # a TIFF structure, without JPEG's prefix
    xmp: bytes | None = None  # a packet of XML
    dpi: tuple[float, float] | None = None  # across, down
    texts: tuple[tuple[str, str], ...] = ()  # by the keywords of PNG: Author, Copyright, Description, Comment...


def read_metadata(container: Container) -> tuple[Metadata | None, int]:
    """The metadata in `container`, and its orientation (1 to 8, as in EXIF). Odd metadata is left out; never raises.

    For TIFF and HEIF the orientation is 1: Pillow and its plug-in apply it.
    """
    info = {key: value for key, value in container.opened.info.items() if isinstance(key, str)} | container.info
    exif, xmp = info.get("exif"), info.get("xmp")
    texts = {key: text for key, text in info.get("texts", {}).items() if text.strip()}
    if isinstance(info.get("photoshop"), bytes):
        texts = _iptc_texts(info["photoshop"]) | texts
    if container.kind == "GIF" and isinstance(info.get("comment"), bytes):
        texts["Comment"] = info["comment"].decode("utf-8", "replace")
    if container.tiff is not None:
        exif = None
        with suppress(Exception):
            exif = _exif_of_tiff(container.tiff)
        with suppress(Exception):
            xmp = container.tiff.tag_v2.get(700)
    exif, orientation = _clean_exif(exif) if isinstance(exif, bytes) else (None, 0)
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    if not isinstance(xmp, bytes) or not xmp.strip(b"\0 \n"):
        xmp = None
    elif orientation == 0 and (found := re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)):
        orientation = int(found[1])
    metadata = Metadata(exif, xmp and _clean_xmp(xmp), _clean_dpi(info.get("dpi")), tuple(texts.items()))
    upright = container.kind in ("TIFF", "HEIF") or not 1 <= orientation <= 8
    return None if metadata == Metadata() else metadata, 1 if upright else orientation


def _clean_xmp(xmp: bytes) -> bytes:
    xmp = re.sub(rb'(tiff:Orientation(?:="|>))[0-9]+', rb"\g<1>1", xmp)
    opening, closing = b"<xmp:Thumbnails>", b"</xmp:Thumbnails>"
    kept, start = [], 0
    while (at := xmp.find(opening, start)) >= 0 and (end := xmp.find(closing, at)) >= 0:
        kept.append(xmp[start:at])
        start = end + len(closing)
    return b"".join([*kept, xmp[start:]])


def _clean_dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (across, down) if all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down)) else None


def _directory(exif: bytes | bytearray, order: str, start: int) -> tuple[dict[int, int], int]:
    """The entries of a directory, as tag -> where it is, and where the position of the next directory is."""
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    places: dict[int, int] = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, at = struct.unpack_from(f"{order}HHII", exif, place)
        if values * UNIT_BYTES.get(kind, 1) > 4 and at + values * UNIT_BYTES.get(kind, 1) > len(exif):
            raise ValueError(f"the values of tag {tag} are missing")
        places.setdefault(tag, place)
    return places, start + 2 + 12 * count


def _order(exif: bytes | bytearray) -> str:
    return {b"II*\0": "<", b"MM\0*": ">"}[bytes(exif[:4])]


def _put(exif: bytearray, order: str, place: int, value: int) -> None:
    kind = struct.unpack_from(f"{order}H", exif, place + 2)[0]
    if kind in (3, 4):
        struct.pack_into(f"{order}{'HI'[kind - 3]}", exif, place + 8, value)


def _clean_exif(found: bytes) -> tuple[bytes | None, int]:
    """The EXIF `found`, made upright and without thumbnail, None if it is damaged; and its orientation or 0.

    It is changed in place: makers' notes refer to positions in it, and its texts may be in any encoding.
    """
    exif, orientation = bytearray(found.removeprefix(b"Exif\0\0")), 0
    try:
        order = _order(exif)
        start = struct.unpack_from(f"{order}I", exif, 4)[0]
        with suppress(struct.error):
            for place in range(start + 2, start + 2 + 12 * struct.unpack_from(f"{order}H", exif, start)[0], 12):
                tag, kind, _, value, _ = struct.unpack_from(f"{order}HHIHH", exif, place)
                if tag == ORIENTATION and kind in (3, 4):
                    orientation = value if kind == 3 else struct.unpack_from(f"{order}I", exif, place + 8)[0]
        places, following = _directory(exif, order, start)
        if ORIENTATION in places:
            _put(exif, order, places[ORIENTATION], 1)
        _cut_thumbnail(exif, order, following)
        for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
            if tag in places:
                _directory(exif, order, struct.unpack_from(f"{order}I", exif, places[tag] + 8)[0])
        return bytes(exif), orientation
    except (KeyError, ValueError, struct.error):
        return None, orientation


def _cut_thumbnail(exif: bytearray, order: str, following: int) -> None:
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, following)
        struct.pack_into(f"{order}I", exif, following, 0)
        if not start:
            return
        places, _ = _directory(exif, order, start)
        at, length = (struct.unpack_from(f"{order}I", exif, places[tag] + 8)[0] for tag in (THUMBNAIL, THUMBNAIL_BYTES))
    except (KeyError, ValueError, struct.error):
        return
    if 8 < at <= len(exif) and at + length >= len(exif) - 16:
        del exif[at:]
    elif 8 < at < len(exif):
        length = min(length, len(exif) - at)
        exif[at : at + length] = bytes(length)


def fitted_exif(exif: bytes, height: int, width: int) -> bytes:
    """`exif` with its entries for the picture's size, if any, set to height x width px."""
    fitted = bytearray(exif)
    with suppress(KeyError, ValueError, struct.error):
        order = _order(exif)
        places, _ = _directory(exif, order, struct.unpack_from(f"{order}I", exif, 4)[0])
        if EXIF_DIRECTORY in places:
            at = struct.unpack_from(f"{order}I", exif, places[EXIF_DIRECTORY] + 8)[0]
            places = _directory(exif, order, at)[0] | places
        for tag, place in places.items():
            if tag in WIDTHS | HEIGHTS:
                _put(fitted, order, place, width if tag in WIDTHS else height)
    return bytes(fitted)


def without_orientation(exif: bytes) -> bytes:
    """`exif` without the entry for the orientation (AVIF keeps it elsewhere)."""
    order = _order(exif)
    start = struct.unpack_from(f"{order}I", exif, 4)[0]
    places, following = _directory(exif, order, start)
    if ORIENTATION not in places:
        return exif
    place, shorter = places[ORIENTATION], bytearray(exif)
    shorter[place : following + 4] = exif[place + 12 : following + 4] + bytes(12)
    struct.pack_into(f"{order}H", shorter, start, (following - start - 2) // 12 - 1)
    return bytes(shorter)


def tags_of(exif: bytes) -> Image.Exif:
    """The tags of `exif`, with texts as bytes in their encoding. Raises almost anything if it is damaged."""
    tags = Image.Exif()
    tags.load(exif)
    for tag, value in list(tags.items()):
        if isinstance(value, str):
            tags[tag] = value.encode("latin-1")  # Pillow reads them as Latin-1, but would write them as ASCII
    return tags


def exif_of_texts(texts: dict[str, str]) -> bytes | None:
    """EXIF with the author, copyright and description in `texts`; None if it has none of these."""
    tags = Image.Exif()
    for keyword, tag in TEXT_TAGS.items():
        if texts.get(keyword):
            tags[tag] = texts[keyword].encode()
    return tags.tobytes().removeprefix(b"Exif\0\0") if len(tags) else None


def _exif_of_tiff(opened: TiffImagePlugin.TiffImageFile) -> bytes | None:
    tags, source = Image.Exif(), opened.getexif()
    for tag in KEPT_TAGS & set(opened.tag_v2):
        value = opened.tag_v2[tag]
        if isinstance(value, str):
            tags[tag] = value.encode("latin-1")
    for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
        with suppress(Exception):
            if entries := source.get_ifd(tag):
                tags[tag] = entries
    return tags.tobytes() if len(tags) else None


def _iptc_texts(photoshop: bytes) -> dict[str, str]:
    """The texts of IPTC's record 2 in the image resources of Photoshop."""
    texts: dict[str, str] = {}
    with suppress(struct.error, IndexError):
        at = 0
        while photoshop[at : at + 4] == b"8BIM":
            kind, name = struct.unpack_from(">HB", photoshop, at + 4)
            start = at + 6 + name + 1 + (name + 1) % 2
            (length,) = struct.unpack_from(">I", photoshop, start)
            block = photoshop[start + 4 : start + 4 + length]
            at = start + 4 + length + length % 2
            place = 0
            while kind == 0x0404 and block[place : place + 1] == b"\x1c":
                record, field, size = struct.unpack_from(">BBH", block, place + 1)
                text = block[place + 5 : place + 5 + size]
                place += 5 + size
                if record == 2 and field in IPTC:
                    try:
                        texts.setdefault(IPTC[field], text.decode("utf-8"))
                    except UnicodeDecodeError:
                        texts.setdefault(IPTC[field], text.decode("latin-1"))
    return texts
