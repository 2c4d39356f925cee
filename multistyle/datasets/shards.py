"""Paint a tar shard in WebDataset form: the members of a sample share a name up to its first full stop.

A sample's pictures are the members with nothing but a picture's suffix after that full stop (`key.jpg`, but not
`key.mask.png`). All its other members, such as labels, are copied.
"""

from __future__ import annotations

import csv
import io
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from ..errors import MultistyleError, as_line
from ..folder_plan import PICTURES, Job, jobs_for
from ..jobs import Drawing, Outcome, paint_jobs
from ..painting import PaintOptions
from ..stylizer import Stylizer
from .places import Place
from .stores import InMemory

HEADER = ["file", "mix", "error"]


class Painting(NamedTuple):
    """What became of one painting of a shard: a row of its record."""

    file: str  # the member's name
    mix: str  # empty if all pictures are painted in one blend
    error: str  # why it is missing; empty if it was painted


class _Member(NamedTuple):
    name: str
    time: float
    content: bytes | memoryview

    @property
    def key(self) -> str:
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def suffix(self) -> str:
        """What follows the key."""
        return self.name[len(self.key) :]


class _Sample(NamedTuple):
    members: list[_Member]
    jobs: list[Job]
    outcomes: list[Outcome]


def record_name(shard: str) -> str:
    """The name of a shard's record: `0001.tar` has `0001.csv`."""
    return PurePosixPath(shard).with_suffix(".csv").as_posix()


def paint_shard(
    stylizer: Stylizer,
    shard: str,
    source: Place,
    target: Place,
    options: PaintOptions,
    draw: Drawing,
    copies: int | None = None,
) -> list[Painting]:
    """Paint the pictures of a shard into a shard of the same name, with a record beside it; returns the record's rows.

    options, draw: as in `paint_jobs`; the name of a picture begins with that of its shard.
    copies: how many samples each sample becomes, named as the copies in `jobs_for`, all with its labels.

    Record and shard appear completely or not at all, the record first. A picture that fails is a row of the record, and
    its sample is missing in the shard. Raises `MultistyleError` if the shard cannot be read or written.
    """
    with _named(source.name_of(shard)), tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as output:
            painter = _ShardPainter(shard, source.title, output, copies)

            def draw_and_note(job: Job) -> PaintOptions:
                drawn = draw(job)
                painter.mixes[job] = str(drawn.blend) if drawn is not options else ""
                return drawn

            jobs = painter.jobs(source)
            for outcome in paint_jobs(stylizer, jobs, options, draw_and_note, painter.store):
                painter.take(outcome)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *painter.rows])
        target.write(record_name(shard), text.getvalue().encode("utf-8", "surrogateescape"))
        file.seek(0)
        target.write(shard, file)
    return painter.rows


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn an error of a disk or of the network, while a shard is painted, into one line."""
    try:
        yield
    except OSError as error:
        raise MultistyleError(as_line(error, f"cannot paint {name}")) from error


class _ShardPainter:
    """Samples wait here, from reading until all their paintings are there to be written."""

    def __init__(self, shard: str, folder: str, output: tarfile.TarFile, copies: int | None) -> None:
        self.shard, self.output, self.copies = shard, output, copies
        self.store = InMemory(folder)
        self.waiting: deque[_Sample] = deque()
        self.mixes: dict[Job, str] = {}
        self.rows: list[Painting] = []

    def jobs(self, source: Place) -> Iterator[Job]:
        """Read the shard, and yield the jobs of its samples. Samples without pictures are copied at once."""
        try:
            for _, members in groupby(_members(source, self.shard), key=lambda member: member.key):
                sample = self._sample(list(members))
                if sample.jobs:
                    self.waiting.append(sample)
                    yield from sample.jobs
                else:
                    self._add(sample.members)
        except (tarfile.TarError, EOFError, FileNotFoundError) as error:
            raise MultistyleError(f"cannot read {source.name_of(self.shard)}: {error}") from error

    def _sample(self, members: list[_Member]) -> _Sample:
        pictures = [member for member in members if member.suffix.lower() in PICTURES]
        jobs = [
            job._replace(name=job.photo.as_posix())
            for job in jobs_for([Path(member.name) for member in pictures], Path(self.shard), Path(), self.copies, None)
        ]
        for member in pictures:
            name = f"{self.shard}/{member.name}"
            if name in self.store.photos:
                raise MultistyleError(f"{self.store.folder}/{self.shard} has two members {member.name}")
            self.store.photos[name] = bytes(member.content)
        return _Sample(members, jobs, [])

    def take(self, outcome: Outcome) -> None:
        """Take the outcome of the next job; outcomes come in the order of the jobs."""
        sample = self.waiting[0]
        sample.outcomes.append(outcome)
        if len(sample.outcomes) == len(sample.jobs):
            self._finish(self.waiting.popleft())

    def _finish(self, sample: _Sample) -> None:
        self.rows += [
            Painting(job.target.as_posix(), self.mixes.pop(job, ""), str(error or "")) for job, error in sample.outcomes
        ]
        photos = {job.name for job in sample.jobs}
        labels = [member for member in sample.members if f"{self.shard}/{member.name}" not in photos]
        for copy in dict.fromkeys(job.copy for job in sample.jobs):
            outcomes = [outcome for outcome in sample.outcomes if outcome.job.copy == copy]
            if any(outcome.error for outcome in outcomes):
                continue
            number, time = "" if copy is None else f"_{copy}", sample.members[0].time
            self._add([_Member(job.target.as_posix(), time, self.store.paintings[job]) for job, _ in outcomes])
            self._add([member._replace(name=f"{member.key}{number}{member.suffix}") for member in labels])
        for job in sample.jobs:
            self.store.paintings.pop(job, None)
            self.store.photos.pop(job.name, None)

    def _add(self, members: list[_Member]) -> None:
        for member in members:
            header = tarfile.TarInfo(member.name)
            header.size, header.mtime = len(member.content), member.time
            self.output.addfile(header, io.BytesIO(member.content))


class _Counted:
    """A stream for `tarfile` that counts its bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.count = stream, 0

    def read(self, size: int) -> bytes:
        content = self.stream.read(size)
        self.count += len(content)
        return content


def _members(source: Place, shard: str) -> Iterator[_Member]:
    """The files in a shard, one after the other. Raises `TarError` if it is damaged."""
    with source.opened(shard) as stream:
        counted = _Counted(stream)
        with tarfile.open(fileobj=cast(BinaryIO, counted), mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    name = PurePosixPath(member.name.lstrip("/")).as_posix()  # without the "./" of `tar -cf 0.tar .`
                    yield _Member(name, member.mtime, content.read())
        if counted.count < archive.offset + tarfile.BLOCKSIZE:  # `tarfile` accepts an archive without its last block
            raise tarfile.ReadError("unexpected end of data")
