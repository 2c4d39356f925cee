"""Tensors to the bytes of picture files, with metadata."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin, TiffImagePlugin
from torch import Tensor

from .metadata import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    KEPT_TAGS,
    Metadata,
    exif_of_texts,
    fitted_exif,
    tags_of,
    without_orientation,
)

FORMATS = {  # by suffix: the formats written here
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".ppm": "PPM",
}
WITH_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF"}
SAVE_OPTIONS: dict[
    str, dict[str, Any]
] = {  # nearly lossless: strokes are high frequencies, and chroma subsampling smears them
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
}
ROWS_PIXELS = 1 << 22  # at a time, when bytes are put on white
SEGMENT = 65533 - 32  # bytes of metadata in one JPEG segment, without its marker


def encode(suffix: str, image: Tensor, alpha: Tensor | None, metadata: Metadata | None) -> io.BytesIO:
    """Encode `image` (3, H, W), bytes with straight colours, in the format of `suffix` (a key of `FORMATS`).

    alpha: (1, H, W), bytes. If the format cannot hold it, the picture is put on white. Raises OSError or
    ValueError where Pillow cannot write it.
    """
    format = FORMATS[suffix]
    options = dict(SAVE_OPTIONS.get(format, {}))
    if alpha is not None and format not in WITH_ALPHA:
        image, alpha = lay_bytes_on_white(image, alpha), None
    if alpha is not None:
        image = torch.cat([image.masked_fill(alpha == 0, 255), alpha])
        if format == "WEBP":  # lossy WebP mixes the colours of neighbours, even transparent ones
            options = {"lossless": True, "exact": True, "quality": 50}
    picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    encoded = io.BytesIO()
    if metadata is not None:
        with suppress(Exception):  # metadata never stops a painting
            picture.save(encoded, format, **options, **_metadata_options(format, metadata, *image.shape[1:]))
            return encoded
        encoded = io.BytesIO()
    picture.save(encoded, format, **options)
    return encoded


def lay_bytes_on_white(image: Tensor, alpha: Tensor) -> Tensor:
    """`image` (3, H, W) as seen on a white page through `alpha` (1, H, W), all of bytes."""
    laid = torch.empty_like(image)
    rows = max(1, ROWS_PIXELS // image.shape[2])
    for top in range(0, image.shape[1], rows):
        part = slice(top, top + rows)
        share = alpha[:, part].float() / 255
        laid[:, part] = (image[:, part] * share + 255 * (1 - share)).round().byte()
    return laid


def _metadata_options(format: str, metadata: Metadata, height: int, width: int) -> dict[str, Any]:
    """What Pillow's `save` takes to write `metadata` in `format`."""
    texts = dict(metadata.texts)
    dpi: dict[str, Any] = {"dpi": metadata.dpi} if metadata.dpi else {}
    exif = fitted_exif(metadata.exif, height, width) if metadata.exif else None
    if format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            chunks.add_text(key, text)
        if metadata.xmp:
            chunks.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
        return dpi | {"pnginfo": chunks} | ({"exif": b"Exif\0\0" + exif} if exif else {})
    exif = exif or exif_of_texts(texts)
    if format == "TIFF":
        return dpi | {"tiffinfo": _tiff_tags(exif, metadata.xmp)}
    if format == "JPEG":
        exif = exif if exif and len(exif) <= SEGMENT else None
        xmp = metadata.xmp if metadata.xmp and len(metadata.xmp) <= SEGMENT else None
        comment = texts.get("Comment", "").encode()[:SEGMENT]
        dpi = {"dpi": tuple(round(value) for value in metadata.dpi)} if metadata.dpi else {}
        dpi |= {"comment": comment} if comment else {}
    elif format in ("WEBP", "AVIF"):
        dpi, xmp = {}, metadata.xmp
        exif = without_orientation(exif) if exif and format == "AVIF" else exif
    else:
        return dpi if format == "BMP" else {}
    return dpi | ({"exif": b"Exif\0\0" + exif} if exif else {}) | ({"xmp": xmp} if xmp else {})


def _tiff_tags(exif: bytes | None, xmp: bytes | None) -> TiffImagePlugin.ImageFileDirectory_v2:
    kept = TiffImagePlugin.ImageFileDirectory_v2()
    if exif:
        tags = tags_of(exif)
        for tag in KEPT_TAGS & set(tags):
            kept[tag] = tags[tag]
        for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
            if entries := tags.get_ifd(tag):
                kept[tag] = entries
    if xmp:
        kept[700] = xmp
    return kept
