"""Read, draw, paint and write pictures: how every run over many pictures treats each of them."""

from __future__ import annotations

import errno
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .blend import mix_text
from .device import free_memory
from .errors import MultistyleError, as_line
from .files import make_folder
from .folder_mixes import draw_mix
from .folder_plan import Job
from .image import Picture, picture_size, write_picture
from .painting import PaintOptions, load_picture, paint_batch
from .stylizer import Stylizer

CPU_BATCH, GPU_BATCH = 4, 16  # pictures painted together, if each has at most BATCH_PIXELS
BATCH_PIXELS = 512 * 512  # a larger picture counts as several
AHEAD_BYTES = 3 << 29  # limit for pictures read ahead, and again for those waiting to be written
AHEAD_SHARE = 8  # and at most 1 / AHEAD_SHARE of the free memory
PIXEL_BYTES = 32  # for each pixel while it is decoded or encoded
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


Drawing = Callable[[Job], PaintOptions]


class Outcome(NamedTuple):
    """The result for one picture: it was painted if `error` is None."""

    job: Job
    error: MultistyleError | None


class _Reading(NamedTuple):
    job: Job
    picture: Future[Picture]
    needs: int  # bytes, to be read

    @property
    def shape(self) -> torch.Size | None:
        """Shape (3, H, W), after waiting for it to be read; None if it cannot be read."""
        return None if self.picture.exception() else self.picture.result().image.shape

    @property
    def held(self) -> int:
        """Bytes needed until its painting is written."""
        return 0 if self.shape is None else math.prod(self.shape[1:]) * PIXEL_BYTES


class Store(Protocol):
    """Where the pictures of jobs are read from and their paintings written to; called from several threads."""

    def title(self, job: Job) -> str:
        """The picture's name in errors."""

    def needs(self, job: Job) -> int:
        """About how many bytes of memory it takes to read the picture."""

    def read(self, job: Job, options: PaintOptions) -> Picture:
        """The picture in the size asked for. Raises any `Exception` if it cannot be read."""

    def write(self, job: Job, picture: Picture, keep_metadata: bool) -> None:
        """Write the painting, completely or not at all. Raises any `Exception` if it cannot be written."""


class Files:
    """The `Store` of jobs whose photos and targets are files."""

    def title(self, job: Job) -> str:
        return str(job.photo)

    def needs(self, job: Job) -> int:
        try:
            return math.prod(picture_size(job.photo)) * PIXEL_BYTES
        except Exception:  # reading it will say what is wrong
            return 0

    def read(self, job: Job, options: PaintOptions) -> Picture:
        return load_picture(job.photo, options)

    def write(self, job: Job, picture: Picture, keep_metadata: bool) -> None:
        make_folder(job.target.parent)
        write_picture(job.target, picture, keep_metadata)


def drawing(stylizer: Stylizer, options: PaintOptions, seed: int | None) -> Drawing:
    """How each job is painted: by `options`; if there is a seed, in a random mix instead of their blend.

    The mix is the same for the same seed and job (see `draw_mix`). The drawn blend is the text to record. It includes
    the strength, and is rounded. Raises `BlendError`.
    """
    options.resolve(stylizer.one_pass)
    if seed is None:
        return lambda job: options
    regions = [part._replace(blend=stylizer.blend(part.blend, options.strength)) for part in options.regions]

    def draw(job: Job) -> PaintOptions:
        mix = mix_text(stylizer.blend(draw_mix(stylizer.names, seed, job.drawn_by), options.strength), stylizer.names)
        return replace(options, blend=mix, regions=regions, strength=1.0)

    return draw


def paint_jobs(
    stylizer: Stylizer, jobs: Iterable[Job], options: PaintOptions, draw: Drawing, store: Store
) -> Generator[Outcome, None, None]:
    """Read, draw, paint and write each of `jobs`; yields an `Outcome` for each, in their order.

    options: how pictures are read and written.
    draw: how each is painted, as `drawing` returns it; called after reading and before writing.

    Threads read and write while the network runs; each direction holds at most `AHEAD_BYTES` of pictures in memory, or
    one picture. Raises `MultistyleError` if the disk is full, and what `draw` raises. A picture that fails for any
    other reason is an `Outcome`.
    """
    blend = options.resolve(stylizer.one_pass)
    together = isinstance(blend, Tensor) and blend.ndim == 1 and options.strips == "auto"
    limit = 1 if not together else CPU_BATCH if stylizer.device.type == "cpu" else GPU_BATCH
    workers = min(8, os.cpu_count() or 1)
    ahead = 2 * workers  # so that the threads never wait for the network
    room = min(AHEAD_BYTES, free_memory(torch.device("cpu")) // AHEAD_SHARE)
    writing: deque[tuple[_Reading, Future]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for batch in _batches(_read_ahead(pool, jobs, options, store, ahead, room), limit):
            if batch[0].shape is None:
                writing.extend((reading, reading.picture) for reading in batch)
            else:
                painted = _paint(stylizer, batch, [draw(reading.job) for reading in batch])
                writing.extend(
                    (reading, pool.submit(_write, reading, one, store, options.keep_metadata))
                    for reading, one in zip(batch, painted)
                )
            while len(writing) > ahead or sum(reading.held for reading, _ in writing) > room:
                yield _outcome(store, *writing.popleft())
        while writing:
            yield _outcome(store, *writing.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _read_ahead(
    pool: ThreadPoolExecutor, jobs: Iterable[Job], options: PaintOptions, store: Store, ahead: int, room: int
) -> Iterator[_Reading]:
    """Read up to `ahead` pictures at a time in threads, within `room` bytes, but at least one.

    A picture with several paintings is read once.
    """
    readings: deque[_Reading] = deque()
    last: _Reading | None = None
    for job in jobs:
        again = last is not None and last.job.photo == job.photo
        needs = 0 if again else store.needs(job)
        while readings and (len(readings) > ahead or needs + sum(reading.needs for reading in readings) > room):
            wait([readings[0].picture])
            yield readings.popleft()
        picture = last.picture if last and again else pool.submit(store.read, job, options)
        last = _Reading(job, picture, needs)
        readings.append(last)
    while readings:
        yield readings.popleft()


def _batches(readings: Iterable[_Reading], limit: int) -> Iterator[list[_Reading]]:
    """Group consecutive pictures of one shape that can be painted together; failed ones are grouped too."""
    batch: list[_Reading] = []
    for reading in readings:
        shape = reading.shape
        if batch and shape != batch[0].shape:
            yield batch
            batch = []
        batch.append(reading)
        if len(batch) >= (limit if shape is None else min(limit, limit * BATCH_PIXELS // (shape[1] * shape[2]))):
            yield batch
            batch = []
    if batch:
        yield batch


def _paint(stylizer: Stylizer, batch: list[_Reading], options: list[PaintOptions]) -> Sequence[Tensor | Exception]:
    """Paint pictures of one shape together, or one by one if that fails."""
    pictures = [reading.picture.result() for reading in batch]
    try:
        if len(batch) == 1:
            return [stylizer.paint_picture(pictures[0], options[0]).picture.image]
        return paint_batch(stylizer.one_pass, [picture.image for picture in pictures], options)
    except Exception as error:
        if len(batch) == 1:
            return [error]
        return [_paint(stylizer, [reading], [how])[0] for reading, how in zip(batch, options)]


def _write(reading: _Reading, painted: Tensor | Exception, store: Store, keep_metadata: bool) -> None:
    if isinstance(painted, MultistyleError):
        raise MultistyleError(f"cannot paint {store.title(reading.job)}: {painted}")
    if isinstance(painted, Exception):
        raise painted
    store.write(reading.job, reading.picture.result()._replace(image=painted.cpu()), keep_metadata)


def _outcome(store: Store, reading: _Reading, done: Future) -> Outcome:
    """The outcome of one job. Any error is a failure of this job alone, except a full disk."""
    job, error = reading.job, done.exception()
    if error is None:
        return Outcome(job, None)
    if not isinstance(error, Exception):
        raise error
    line = MultistyleError(as_line(error, f"cannot paint {store.title(job)}"))  # a new error, which keeps no picture
    if {getattr(error, "errno", None), getattr(error.__cause__, "errno", None)} & DISK_FULL:
        raise line
    return Outcome(job, line)
