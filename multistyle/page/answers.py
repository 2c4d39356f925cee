"""Paint what the queue holds: jobs with requests to answers with bytes. Runs in the thread that paints."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..blend import mix_text
from ..files import NamedBytes
from ..formats.encode import FORMATS
from ..image import Picture, encode_picture, read_picture
from ..painting import paint_batch
from ..sequence import encode_sequence, paint_sequence
from ..stylizer import Stylizer
from .painting_queue import Job
from .requests import UPLOAD, PaintRequest, SequenceRequest

MEDIA_TYPES = {"gif": "image/gif", "mp4": "video/mp4", "PPM": "image/x-portable-pixmap"}


@dataclass(frozen=True)
class Answer:
    """A file to send back."""

    body: bytes | memoryview
    media_type: str
    facts: Mapping[str, Any]  # about the painting


def answers(stylizer: Stylizer, jobs: Sequence[Job]) -> list[Answer]:
    """Paint the requests in `jobs`, together if there are several. Raises `MultistyleError` and `Abandoned`."""
    contents = [job.content for job in jobs]
    if len(jobs) > 1:
        return _paint_together(stylizer, contents)
    (content,) = contents
    paint = _sequence if isinstance(content, SequenceRequest) else _painting
    return [paint(stylizer, content, jobs[0])]


def _painting(stylizer: Stylizer, request: PaintRequest, job: Job) -> Answer:
    started = time.perf_counter()
    job.progress(0, None)
    picture = read_picture(NamedBytes(request.body, UPLOAD), size=request.options.size)
    painted = stylizer.paint_picture(picture, request.whole_options(), job.progress)
    return _answer(stylizer, request, painted.picture, started, painted.strips)


def _paint_together(stylizer: Stylizer, requests: Sequence[PaintRequest]) -> list[Answer]:
    started = time.perf_counter()
    pictures = [read_picture(NamedBytes(request.body, UPLOAD), size=request.options.size) for request in requests]
    options = [request.options for request in requests]
    images = paint_batch(stylizer.one_pass, [picture.image for picture in pictures], options)
    kept = [picture.metadata if how.keep_metadata else None for picture, how in zip(pictures, options, strict=True)]
    painted = [Picture(image, old.alpha, data) for image, old, data in zip(images, pictures, kept, strict=True)]
    return [_answer(stylizer, request, one, started, False) for request, one in zip(requests, painted, strict=True)]


def _answer(stylizer: Stylizer, request: PaintRequest, painted: Picture, started: float, strips: bool) -> Answer:
    height, width = painted.image.shape[1:]
    blend = request.options.rest(stylizer.one_pass)
    facts = {
        "width": width,
        "height": height,
        "mix": mix_text(blend, stylizer.names),
        "strips": strips,
        "seconds": round(time.perf_counter() - started, 3),
    }
    return Answer(encode_picture(request.suffix, painted), media_type(request.suffix), facts)


def _sequence(stylizer: Stylizer, request: SequenceRequest, job: Job) -> Answer:
    picture = read_picture(NamedBytes(request.body, UPLOAD), size=request.options.size)
    file, total = io.BytesIO(), len(request.blends)

    def counted() -> Any:
        for number, frame in enumerate(paint_sequence(stylizer, picture, request.blends, request.options)):
            job.progress(number, total)
            yield frame

    encode_sequence(file, request.target, counted(), picture.alpha)
    return Answer(file.getbuffer(), MEDIA_TYPES[request.target.suffix[1:]], {"frames": total})


def media_type(suffix: str) -> str:
    """The media type of a picture file with this suffix."""
    format = FORMATS[suffix]
    return MEDIA_TYPES.get(format, f"image/{format.lower()}")


def facts_header(answer: Answer) -> str:
    """What is known about a painting, as JSON in ASCII."""
    return json.dumps(dict(answer.facts))


def batch_key(request: PaintRequest, device: torch.device) -> tuple[Any, ...] | None:
    """Requests with the same key are painted together on a GPU; None: alone."""
    options = request.options
    if device.type != "cuda" or request.regions or options.strips != "auto":
        return None
    return (*request.shape, str(options.stroke))
