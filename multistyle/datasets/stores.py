"""Where the pictures of jobs are read and their paintings written, if not in files: `Store`s of `jobs`."""

from __future__ import annotations

from collections.abc import Mapping

from ..files import NamedBytes
from ..folder_plan import Job
from ..image import Picture, encode_picture
from ..jobs import PIXEL_BYTES
from ..painting import PaintOptions, load_picture
from .places import Place

PIXELS = 6  # about as many for each byte of a JPEG


class InPlaces:
    """The `Store` of jobs whose photos are files in `source`, and whose targets are files in `target`.

    sizes: the photos' sizes in bytes, by name.
    """

    def __init__(self, source: Place, target: Place, sizes: Mapping[str, int]) -> None:
        self.source, self.target, self.sizes = source, target, sizes

    def title(self, job: Job) -> str:
        return self.source.name_of(job.name)

    def needs(self, job: Job) -> int:
        return self.sizes[job.name] * PIXELS * PIXEL_BYTES

    def read(self, job: Job, options: PaintOptions) -> Picture:
        return load_picture(NamedBytes(self.source.read(job.name), self.title(job)), options)

    def write(self, job: Job, picture: Picture, keep_metadata: bool) -> None:
        name = job.target.as_posix()
        self.target.write(name, encoded(job, picture, keep_metadata, self.target.name_of(name)))


class InMemory:
    """The `Store` of jobs whose photos are in `photos`, by the job's name, and whose paintings stay in `paintings`.

    folder: what errors put before a picture's name.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.photos: dict[str, bytes] = {}
        self.paintings: dict[Job, memoryview] = {}

    def title(self, job: Job) -> str:
        return f"{self.folder}/{job.name}"

    def needs(self, job: Job) -> int:
        return len(self.photos[job.name]) * PIXELS * PIXEL_BYTES

    def read(self, job: Job, options: PaintOptions) -> Picture:
        return load_picture(NamedBytes(self.photos[job.name], self.title(job)), options)

    def write(self, job: Job, picture: Picture, keep_metadata: bool) -> None:
        self.paintings[job] = encoded(job, picture, keep_metadata, self.title(job))


def encoded(job: Job, picture: Picture, keep_metadata: bool, name: str) -> memoryview:
    """The bytes of a painting in the format of the job's target. Raises `ImageError`."""
    return encode_picture(job.target.suffix, picture, keep_metadata, name)
