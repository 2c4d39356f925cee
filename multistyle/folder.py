"""Paint whole folders: a bad file does not stop the others, and a stopped run continues.

A painting appears complete or not at all, so a painting that exists is finished.
"""

from __future__ import annotations

import errno
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .blend import mix_text
from .device import free_memory
from .errors import MultistyleError, as_line
from .files import remove_stale
from .folder_mixes import BlendRecord, draw_mix
from .folder_plan import FolderPlan, Job
from .image import Picture, picture_size, write_picture
from .painting import PaintOptions, load_picture, paint_batch
from .stylizer import Stylizer

CPU_BATCH, GPU_BATCH = 4, 16  # pictures painted together, if each has at most BATCH_PIXELS
BATCH_PIXELS = 512 * 512  # a larger picture counts as several
AHEAD_BYTES = 3 << 29  # limit for pictures read ahead, and again for those waiting to be written
AHEAD_SHARE = 8  # and at most 1 / AHEAD_SHARE of the free memory
PIXEL_BYTES = 32  # for each pixel while it is decoded or encoded
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


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


def paint_folder(
    stylizer: Stylizer, plan: FolderPlan, options: PaintOptions = PaintOptions(), seed: int | None = None
) -> Generator[Outcome, None, None]:
    """Paint what is left of `plan`; yields an `Outcome` for each finished picture.

    plan: from `plan_folder`.
    options: how each picture is painted.
    seed: if given, paint each painting in a random mix (see `draw_mix`) instead of the options' blend, and record the
    mixes in the output folder (see `BlendRecord`); a recorded mix includes the strength.

    Threads read and write while the network runs; each direction holds at most `AHEAD_BYTES` of pictures in memory, or
    one picture. Temporary files of a killed run are removed first, but not by the run of a part: on a shared folder
    without locks they may belong to another part. Raises `BlendError` at once, and `MultistyleError` if blends.csv is
    another kind of file; later, `MultistyleError` if the disk is full or the record cannot be written. A picture that
    fails for any other reason is an `Outcome`.
    """
    blend = options.resolve(stylizer.one_pass)
    together = isinstance(blend, Tensor) and blend.ndim == 1
    if seed is None:
        return _run(stylizer, plan, options, together, lambda job: options)
    record = BlendRecord(plan.target, plan.part)
    regions = [part._replace(blend=stylizer.blend(part.blend, options.strength)) for part in options.regions]

    def draw(job: Job) -> PaintOptions:
        mix = mix_text(stylizer.blend(draw_mix(stylizer.names, seed, job.drawn_by), options.strength), stylizer.names)
        record.add(job.target, mix)
        return replace(options, blend=mix, regions=regions, strength=1.0)  # as it is recorded, rounded

    return _run(stylizer, plan, options, together, draw, record)


def _run(
    stylizer: Stylizer,
    plan: FolderPlan,
    options: PaintOptions,
    together: bool,
    options_for: Callable[[Job], PaintOptions],
    record: BlendRecord | None = None,
) -> Generator[Outcome, None, None]:
    _make_folder(plan.target)
    if plan.part is None:
        remove_stale(plan.target, nested=True)
    limit = 1 if not together else CPU_BATCH if stylizer.device.type == "cpu" else GPU_BATCH
    workers = min(8, os.cpu_count() or 1)
    ahead = 2 * workers  # so that the threads never wait for the network
    room = min(AHEAD_BYTES, free_memory(torch.device("cpu")) // AHEAD_SHARE)
    writing: deque[tuple[_Reading, Future]] = deque()
    with record.running() if record else nullcontext():
        pool = ThreadPoolExecutor(workers)
        try:
            for batch in _batches(_read_ahead(pool, plan.jobs, options, ahead, room), limit):
                if batch[0].shape is None:
                    writing.extend((reading, reading.picture) for reading in batch)
                else:
                    painted = _paint(stylizer, batch, [options_for(reading.job) for reading in batch])
                    writing.extend(
                        (reading, pool.submit(_write, reading, one, options.keep_metadata))
                        for reading, one in zip(batch, painted)
                    )
                while len(writing) > ahead or sum(reading.held for reading, _ in writing) > room:
                    yield _outcome(writing.popleft())
            while writing:
                yield _outcome(writing.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _read_ahead(
    pool: ThreadPoolExecutor, jobs: Iterable[Job], options: PaintOptions, ahead: int, room: int
) -> Iterator[_Reading]:
    """Read up to `ahead` pictures at a time in threads, within `room` bytes, but at least one.

    A picture with several paintings is read once.
    """
    readings: deque[_Reading] = deque()
    last: _Reading | None = None
    for job in jobs:
        again = last is not None and last.job.photo == job.photo
        needs = 0 if again else _needs(job.photo)
        while readings and (len(readings) > ahead or needs + sum(reading.needs for reading in readings) > room):
            wait([readings[0].picture])
            yield readings.popleft()
        picture = last.picture if last and again else pool.submit(load_picture, job.photo, options)
        last = _Reading(job, picture, needs)
        readings.append(last)
    while readings:
        yield readings.popleft()


def _needs(photo: Path) -> int:
    """The bytes needed to read a picture."""
    try:
        return math.prod(picture_size(photo)) * PIXEL_BYTES
    except Exception:  # reading it will say what is wrong
        return 0


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


def _write(reading: _Reading, painted: Tensor | Exception, keep_metadata: bool) -> None:
    if isinstance(painted, MultistyleError):
        raise MultistyleError(f"cannot paint {reading.job.photo}: {painted}")
    if isinstance(painted, Exception):
        raise painted
    _make_folder(reading.job.target.parent)
    write_picture(reading.job.target, reading.picture.result()._replace(image=painted.cpu()), keep_metadata)


def _outcome(through: tuple[_Reading, Future]) -> Outcome:
    """The outcome of one picture. Any error is a failure of this picture alone, except a full disk."""
    job, error = through[0].job, through[1].exception()
    if error is None:
        return Outcome(job, None)
    if not isinstance(error, Exception):
        raise error
    line = MultistyleError(as_line(error, f"cannot paint {job.photo}"))  # a new error, which keeps no picture in memory
    if {getattr(error, "errno", None), getattr(error.__cause__, "errno", None)} & DISK_FULL:
        raise line
    return Outcome(job, line)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultistyleError(f"cannot make the folder {folder}: {error.strerror}") from error
