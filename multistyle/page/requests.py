"""HTTP requests to what the library paints: the parameters of a request, and the limits on its picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import MultistyleError
from ..files import NamedBytes
from ..formats.encode import FORMATS
from ..image import own_suffix, picture_size, read_mask
from ..painting import PaintOptions, Region
from ..resize import fitted_size
from ..sequence import blend_path
from ..strokes import Stroke, split_stroke
from ..stylizer import Stylizer
from .refusal import Refusal

BYTES = 64 << 20  # of one picture
PIXELS = 100_000_000  # of one picture, and of its painting
FRAMES, FRAMES_PIXELS = 200, 1 << 20  # of a sequence, and of each of its frames
MASKS = 8
UPLOAD = "the upload"  # what errors call the picture
STRIP, IN_STRIPS = 640, 1 << 22  # px, side of a strip; pixels from which a picture is painted in strips, to be stopped
LOOK = ("strength", "stroke", "size", "keep_colors", "keep_metadata")
PAINT = ("mix", *LOOK, "format", "region")
SEQUENCE = ("from", "to", "frames", *LOOK, "format")


@dataclass(frozen=True)
class PaintRequest:
    """A picture to paint."""

    body: bytes  # of the picture file
    options: PaintOptions  # without the regions
    regions: Sequence[tuple[bytes, str, Stroke | None]]  # mask file, mix and stroke of each
    suffix: str  # of the format of the answer
    shape: tuple[int, int]  # of the painting, height and width in px

    def whole_options(self) -> PaintOptions:
        """The options with the regions, whose masks are decoded. Raises `ImageError`."""
        found = [Region(read_mask(NamedBytes(mask, "a mask")), mix, stroke) for mask, mix, stroke in self.regions]
        return replace(self.options, regions=found)


@dataclass(frozen=True)
class SequenceRequest:
    """A picture to paint in each of `blends` (N, S)."""

    body: bytes  # of the picture file
    options: PaintOptions
    blends: Tensor
    target: Path  # a name whose suffix is the format of the answer


def paint_request(
    query: Mapping[str, Sequence[str]], body: bytes, masks: Sequence[bytes], stylizer: Stylizer
) -> PaintRequest:
    """Check a request for a painting.

    query: the parameters, each with all of its values.
    body: the picture file.
    masks: one picture file for each `region` in the query; they are decoded later, when it is painted.

    Raises `MultistyleError` for a parameter or picture that is wrong, and `Refusal` for a picture that is too large.
    """
    given = _single(query, PAINT, repeated="region")
    regions = query.get("region", ())
    if len(regions) != len(masks):
        raise MultistyleError(f"each region needs its mask: got {len(regions)} regions and {len(masks)} masks")
    options = _options(given, given.get("mix"))
    parts = [split_stroke(text) for text in regions]
    for mix in (given.get("mix"), *(mix for mix, _ in parts)):
        stylizer.blend(mix)
    height, width = _checked_size(body, UPLOAD, options.size)
    for mask in masks:
        _checked_size(mask, "a mask", None)
    options = replace(options, strips=STRIP if height * width >= IN_STRIPS else options.strips)
    file = NamedBytes(body, UPLOAD)
    suffix = "." + given["format"].lower().lstrip(".") if "format" in given else own_suffix(file)
    if suffix not in FORMATS:
        raise MultistyleError(f"no picture is written as {given['format']!r}; use {', '.join(formats())}")
    found = [(mask, *part) for mask, part in zip(masks, parts, strict=True)]
    return PaintRequest(body, options, found, suffix, (height, width))


def sequence_request(query: Mapping[str, Sequence[str]], body: bytes, stylizer: Stylizer) -> SequenceRequest:
    """Check a request for a sequence from one mix to another; arguments and errors as of `paint_request`."""
    given = _single(query, SEQUENCE)
    frames, format = _whole(given, "frames", 24), given.get("format", "gif")
    if format not in ("gif", "mp4"):
        raise MultistyleError(f"a sequence is written as gif or mp4, not {format!r}")
    if not 2 <= frames <= FRAMES:
        raise MultistyleError(f"a sequence has 2 to {FRAMES} frames here, not {frames}")
    options = _options(given, None)
    height, width = _checked_size(body, UPLOAD, options.size)
    if height * width > FRAMES_PIXELS:
        raise Refusal(413, f"the frames would have {width} x {height} pixels; ask for a size of at most 1024")
    ends = torch.stack([stylizer.blend(given.get(end), options.strength) for end in ("from", "to")])
    return SequenceRequest(body, replace(options, strength=1.0), blend_path(ends, frames), Path(f"sequence.{format}"))


def formats() -> list[str]:
    """The names of the formats in which a painting is written."""
    return sorted(suffix[1:] for suffix in FORMATS)


def _single(query: Mapping[str, Sequence[str]], known: Sequence[str], repeated: str | None = None) -> dict[str, str]:
    """The parameters that come once. Raises `MultistyleError` for an unknown or repeated one."""
    for name, values in query.items():
        if name not in known:
            raise MultistyleError(f"unknown parameter {name!r}; use {', '.join(known)}")
        if len(values) > 1 and name != repeated:
            raise MultistyleError(f"{name} is given {len(values)} times; give it once")
    return {name: values[0] for name, values in query.items() if name != repeated}


def _options(given: Mapping[str, str], mix: str | None) -> PaintOptions:
    size = _whole(given, "size", 0) if "size" in given else None
    return PaintOptions(
        mix,
        _number(given, "strength", 1.0),
        size=size,
        stroke=given.get("stroke", "auto"),
        keep_colors=_flag(given, "keep_colors", False),
        keep_metadata=_flag(given, "keep_metadata", True),
    )


def _checked_size(body: bytes, name: str, size: int | None) -> tuple[int, int]:
    """Height and width in px of what is painted for a picture file. Raises `Refusal` if either is too large."""
    height, width = picture_size(NamedBytes(body, name))
    if height * width > PIXELS:
        raise Refusal(413, f"{name} has {width} x {height} pixels; this server takes up to {PIXELS // 10**6} million")
    if size is None:
        return height, width
    if math.ceil(size * size * min(height, width) / max(height, width)) > PIXELS:
        raise Refusal(413, f"a painting of {size} pixels is too large; this server paints {PIXELS // 10**6} million")
    return fitted_size(height, width, size)


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(given.get(name, default))
    except ValueError:
        raise MultistyleError(f"{name} is a number, not {given[name]!r}") from None


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise MultistyleError(f"{name} is a whole number, not {text!r}")
    return int(text)


def _flag(given: Mapping[str, str], name: str, default: bool) -> bool:
    text = given.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise MultistyleError(f"{name} is true or false, not {given[name]!r}")
    return text == "true"
