"""Paint whole folders: bad files stop nothing, and a run that was stopped goes on where it was.

(A painting appears complete or not at all, so one that is there is done.)
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .blend import mix_text
from .errors import MultistyleError
from .files import remove_stale
from .image import HEIF, WRITABLE, Picture, write_picture
from .mix_record import BlendRecord, draw_mix
from .painting import PaintOptions, load_picture, paint_batch
from .stylizer import Stylizer

PICTURES = WRITABLE | HEIF | {".gif", ".jfif", ".jp2", ".tga"}  # the files of a folder taken for pictures
CPU_BATCH, GPU_BATCH = 4, 16  # pictures painted together, where they have BATCH_PIXELS at most
BATCH_PIXELS = 512 * 512  # a picture above it takes the room of several
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class Job(NamedTuple):
    """One picture. name: relative to the input folder, with forward slashes; photo: its file; target: its painting."""

    name: str
    photo: Path
    target: Path


class FolderPlan(NamedTuple):
    """What is left to paint into the folder `target`, by name; done: how many paintings are there already."""

    target: Path
    jobs: list[Job]
    done: int


class Outcome(NamedTuple):
    """A picture that is through: painted, or, where `error` is given, not."""

    job: Job
    error: MultistyleError | None


class _Reading(NamedTuple):
    job: Job
    picture: Future[Picture]

    @property
    def shape(self) -> torch.Size | None:
        """Shape (3, H, W) once it is read; None for a picture that cannot be."""
        return None if self.picture.exception() else self.picture.result().image.shape


def plan_folder(source: str | Path, target: str | Path) -> FolderPlan:
    """Find the pictures in the folder `source` and the folders in it, and which of them `target` does not have yet.

    Paintings keep their photo's relative name; a suffix that cannot be written becomes .png. Hidden files are passed
    over. Writes nothing. Raises `MultistyleError` where source is no folder or has no pictures, where target is inside
    it or cannot be written, and where two photos would be written to one file.
    """
    source, target = Path(source).resolve(), Path(target).resolve()  # links would hide that one is inside the other
    _check_folders(source, target)
    photos = list(_walk(source))
    if not photos:
        raise MultistyleError(f"there are no pictures in {source}; known suffixes: {', '.join(sorted(PICTURES))}")
    jobs: dict[Path, Job] = {}
    for photo in photos:
        name = photo.relative_to(source)
        painting = target / (name if name.suffix.lower() in WRITABLE else name.with_suffix(".png"))
        if painting in jobs:
            raise MultistyleError(f"{jobs[painting].photo} and {photo} would both be written to {painting}; rename one")
        if painting.is_relative_to(source):
            raise MultistyleError(f"{photo} would be written to {painting}, among the photos; choose another folder")
        jobs[painting] = Job(name.as_posix(), photo, painting)
    left = [job for job in jobs.values() if not job.target.is_file()]
    return FolderPlan(target, left, len(jobs) - len(left))


def _check_folders(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise MultistyleError(f"{source} is a file, not a folder" if source.exists() else f"no folder {source}")
    if target.is_relative_to(source):
        raise MultistyleError(f"the output folder {target} is inside the input folder {source}; choose one outside it")
    there = next(path for path in (target, *target.parents) if path.exists())
    if not there.is_dir():
        raise MultistyleError(f"cannot write into {target}: {there} is a file")
    if not os.access(there, os.W_OK):
        raise MultistyleError(f"cannot write into {target}: {there} is not writable")


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise MultistyleError(f"cannot read {error.filename}: {error.strerror}") from error

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURES:
                yield Path(place, name)


def paint_folder(
    stylizer: Stylizer, plan: FolderPlan, options: PaintOptions = PaintOptions(), seed: int | None = None
) -> Iterator[Outcome]:
    """Paint what is left of `plan` (from `plan_folder`); yields an `Outcome` for each picture as it is through.

    seed: paints each picture in its own random mix (see `draw_mix`) instead of the options' blend, and records painting
    and mix in blends.csv in the output folder; the recorded mix includes the strength.

    Reading and writing go on in threads while the network runs; a few pictures for each are in memory at a time. What
    a killed run left half-written is removed first. Raises `BlendError` at once, and while working `MultistyleError`
    where the disk is full or the record cannot be written; a picture that fails otherwise is an `Outcome`.
    """
    options.resolve(stylizer.one_pass)
    if seed is None:
        return _run(stylizer, plan, options, lambda job: options)
    record = BlendRecord(plan.target)

    def draw(job: Job) -> PaintOptions:
        mix = mix_text(stylizer.blend(draw_mix(stylizer.names, seed, job.name), options.strength), stylizer.names)
        record.add(job.target, mix)
        return replace(options, blend=mix, strength=1.0)  # as it is recorded, rounded

    return _run(stylizer, plan, options, draw, record)


def _run(
    stylizer: Stylizer,
    plan: FolderPlan,
    options: PaintOptions,
    options_for: Callable[[Job], PaintOptions],
    record: BlendRecord | None = None,
) -> Iterator[Outcome]:
    _make_folder(plan.target)
    remove_stale(plan.target, nested=True)
    if record:
        record.tidy()
    limit = 1 if options.regions else CPU_BATCH if stylizer.device.type == "cpu" else GPU_BATCH
    workers = min(8, os.cpu_count() or 1)
    ahead = 2 * workers  # enough that they never wait for the network, and a bound on what is in memory
    writing: deque[tuple[Job, Future]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for batch in _batches(_read_ahead(pool, plan.jobs, options, ahead), limit):
            if batch[0].shape is None:
                writing.extend(batch)
            else:
                painted = _paint(stylizer, batch, [options_for(reading.job) for reading in batch])
                writing.extend((reading.job, pool.submit(_write, reading, one)) for reading, one in zip(batch, painted))
            while len(writing) > ahead:
                yield _outcome(*writing.popleft())
        while writing:
            yield _outcome(*writing.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
    if record:
        record.tidy()


def _read_ahead(pool: ThreadPoolExecutor, jobs: Iterable[Job], options: PaintOptions, ahead: int) -> Iterator[_Reading]:
    readings: deque[_Reading] = deque()
    for job in jobs:
        readings.append(_Reading(job, pool.submit(load_picture, job.photo, options)))
        if len(readings) > ahead:
            yield readings.popleft()
    while readings:
        yield readings.popleft()


def _batches(readings: Iterable[_Reading], limit: int) -> Iterator[list[_Reading]]:
    """Consecutive pictures of one shape, as many as may be painted together; those that failed, likewise."""
    batch: list[_Reading] = []
    for reading in readings:
        shape = reading.shape
        room = limit if shape is None else min(limit, limit * BATCH_PIXELS // (shape[1] * shape[2]))
        if batch and (shape != batch[0].shape or len(batch) >= room):
            yield batch
            batch = []
        batch.append(reading)
    if batch:
        yield batch


def _paint(stylizer: Stylizer, batch: list[_Reading], options: list[PaintOptions]) -> list[Tensor | MultistyleError]:
    """Paint pictures of one shape together, or one by one where they do not fit in memory together."""
    pictures = [reading.picture.result() for reading in batch]
    try:
        if len(batch) == 1:
            return [stylizer.paint_picture(pictures[0], options[0]).picture.image]
        return paint_batch(stylizer.one_pass, [picture.image for picture in pictures], options)
    except MultistyleError as error:
        if len(batch) == 1:
            return [error]
        return [_paint(stylizer, [reading], [how])[0] for reading, how in zip(batch, options)]


def _write(reading: _Reading, painted: Tensor | MultistyleError) -> None:
    if isinstance(painted, MultistyleError):
        raise MultistyleError(f"cannot paint {reading.job.photo}: {painted}")
    _make_folder(reading.job.target.parent)
    write_picture(reading.job.target, reading.picture.result()._replace(image=painted.cpu()))


def _outcome(job: Job, future: Future) -> Outcome:
    try:
        future.result()
    except MultistyleError as error:
        if getattr(error.__cause__, "errno", None) in DISK_FULL:  # no other picture would fare better
            raise
        return Outcome(job, error)
    return Outcome(job, None)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultistyleError(f"cannot make the folder {folder}: {error.strerror}") from error
