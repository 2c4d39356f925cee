"""Decide which pictures of a folder are left to paint, and into which files. Writes nothing."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import MultistyleError
from .image import HEIF, WRITABLE

PICTURES = (
    WRITABLE | HEIF | {".gif", ".jfif", ".jp2", ".tga"}
)  # suffixes of the files in a folder that count as pictures
KINDS = 6  # of skipped files; at most this many are listed


class NoPicturesError(MultistyleError):
    """A folder without pictures."""


class Job(NamedTuple):
    """One painting of one picture."""

    name: str  # of the picture, relative to the input folder, with forward slashes
    photo: Path  # the picture's file
    target: Path  # the painting's file
    copy: int | None = None  # its number from 1, if copies were asked for

    @property
    def drawn_by(self) -> str:
        """The name that its random mix is drawn by; no picture and no other painting has it."""
        return self.name if self.copy is None else f"{self.name}/{self.copy}"


class Part(NamedTuple):
    """One of `total` parts of a folder, numbered from 1. The name of a picture decides which part has it."""

    number: int
    total: int

    def has(self, name: str) -> bool:
        """Whether the picture `name` belongs to this part; the same on every machine, whatever else is there."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.total == self.number - 1


class FolderPlan(NamedTuple):
    """What is left to paint into the folder `target`, by name."""

    target: Path
    jobs: list[Job]
    done: int  # how many paintings exist already
    unreadable: Sequence[str]  # a line for each folder that cannot be read
    passed_over: Mapping[str, int]  # the number of other files, by suffix
    part: Part | None = None  # the plan is for this part only; None: for the whole folder


class _Found(NamedTuple):
    photos: list[Path]
    unreadable: list[str]
    passed_over: Counter[str]


def parse_part(text: str) -> Part:
    """ "2/16" -> the second of 16 parts. Raises `MultistyleError`."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise MultistyleError(f"a part is NUMBER/COUNT, from 1/16 to 16/16 for 16 parts, not {text!r}")
    return Part(int(number), int(count))


def plan_folder(
    source: str | Path, target: str | Path, copies: int | None = None, part: Part | None = None
) -> FolderPlan:
    """Find the pictures in the folder `source` and its sub-folders that lack paintings in `target`.

    copies: how many paintings each picture gets, with numbered names (see `jobs_for`); None: one, without a number.
    part: plan for the pictures of this part only.

    Hidden files are skipped. Writes nothing. Raises `MultistyleError` if `source` is not a readable folder or has no
    pictures, if `target` is inside it or cannot be written, and if `copies` is below 1.
    """
    source, target = _check_folders(source, target)
    found = _walk(source)
    if not found.photos:
        raise no_pictures(source, found.passed_over, found.unreadable)
    jobs = jobs_for([photo.relative_to(source) for photo in found.photos], source, target, copies, part)
    _check_targets(jobs, source)
    left = left_jobs(jobs, os.path.isfile)
    return FolderPlan(target, left, len(jobs) - len(left), found.unreadable, found.passed_over, part)


def no_pictures(source: object, passed_over: Mapping[str, int], unreadable: Sequence[str] = ()) -> NoPicturesError:
    """The error for the folder `source`, given what else is in it; see `FolderPlan`."""
    others = f"; skipped: {describe_files(passed_over)}" if passed_over else ""
    known = ", ".join(sorted(PICTURES))
    return NoPicturesError("; ".join([f"there are no pictures in {source} (known: {known}){others}", *unreadable]))


def jobs_for(photos: Sequence[Path], source: Path, target: Path, copies: int | None, part: Part | None) -> list[Job]:
    """The jobs for all pictures, or for those of one part, with the paintings of a picture one after the other.

    photos: all names relative to `source`.

    A painting is named after its picture, as `painting_names` says; the copies of `a.jpg` are `a_1.jpg`, `a_2.jpg` and
    so on. Copies of two pictures never share a name: the last number is the copy's, and the rest a picture's. Raises
    `MultistyleError` for fewer than one copy.
    """
    if copies is not None and copies < 1:
        raise MultistyleError(f"each picture gets at least 1 copy, not {copies}")
    return [
        Job(photo.as_posix(), source / photo, target / _numbered(painting, copy), copy)
        for photo, painting in zip(photos, painting_names(photos))
        if part is None or part.has(photo.as_posix())
        for copy in ([None] if copies is None else range(1, copies + 1))
    ]


def left_jobs(jobs: Sequence[Job], there: Callable[[Path], bool]) -> list[Job]:
    """The jobs whose paintings are not there.

    The painting of `a.gif` is `a.png` until a picture of that name comes; then it is `a.gif.png`. As long as the latter
    is missing, `a.png` may be the painting of either, so the picture `a.png` counts as left too.
    """
    missing = [job for job in jobs if not there(job.target)]
    converted = [(job, Path(job.name)) for job in missing if Path(job.name).suffix.lower() not in WRITABLE]
    either = {job.target.with_name(_numbered(photo.with_suffix(".png"), job.copy).name) for job, photo in converted}
    return [job for job in jobs if job.target in either or not there(job.target)]


def _numbered(painting: Path, copy: int | None) -> Path:
    return painting if copy is None else painting.with_name(f"{painting.stem}_{copy}{painting.suffix}")


def painting_names(photos: Sequence[Path]) -> list[Path]:
    """The names for the paintings of `photos`, in their order. photos: relative names, all different.

    A name keeps its suffix if that format can be written. Otherwise the suffix becomes .png; if another painting has
    that name, .png is appended: `a.gif` beside `a.png` becomes `a.gif.png`.
    """
    short = [photo if photo.suffix.lower() in WRITABLE else photo.with_suffix(".png") for photo in photos]
    wanted, taken, names = Counter(short), set(short), []
    for photo, name in zip(photos, short):
        if name != photo and wanted[name] > 1:
            name = photo.with_name(f"{photo.name}.png")
            while name in taken:
                name = name.with_name(f"{name.name}.png")
            taken.add(name)
        names.append(name)
    return names


def describe_files(counts: Mapping[str, int]) -> str:
    """The number of files by suffix as text, most frequent first: "3 .dng, 1 .jxl"."""
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in listed[KINDS:])
    return ", ".join([*(f"{count} {kind}" for kind, count in listed[:KINDS]), *([f"{rest} others"] if rest else [])])


def _check_folders(source: str | Path, target: str | Path) -> tuple[Path, Path]:
    for folder, what in ((source, "input"), (target, "output")):
        if not str(folder):
            raise MultistyleError(f"the name of the {what} folder is empty")
    source, target = (Path(os.path.realpath(path)) for path in (source, target))  # links would hide what is inside what
    if not os.path.isdir(source):
        raise MultistyleError(f"{source} is a file, not a folder" if os.path.exists(source) else f"no folder {source}")
    if target.is_relative_to(source):
        raise MultistyleError(f"the output folder {target} is inside the input folder {source}; choose one outside it")
    there = next(path for path in (target, *target.parents) if os.path.exists(path))
    if not there.is_dir():
        raise MultistyleError(f"cannot write into {target}: {there} is a file")
    if not os.access(there, os.W_OK):
        raise MultistyleError(f"cannot write into {target}: {there} is not writable")
    return source, target


def _check_targets(jobs: list[Job], source: Path) -> None:
    """Raise `MultistyleError` if a painting would be written among the photos, also through a link."""
    places = {job.target.parent: job for job in jobs}
    places |= {job.target: job for job in jobs if os.path.islink(job.target)}
    for place, job in places.items():
        if Path(os.path.realpath(place)).is_relative_to(source):
            raise MultistyleError(
                f"{job.photo} would be written to {job.target}, among the photos; choose another folder"
            )


def _walk(source: Path) -> _Found:
    found = _Found([], [], Counter())

    def skip(error: OSError) -> None:
        line = f"cannot read the folder {error.filename}: {error.strerror}"
        if Path(error.filename) == source:
            raise MultistyleError(line) from error
        found.unreadable.append(line)

    for place, folders, files in os.walk(source, onerror=skip):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found.passed_over["links to folders"] += sum(os.path.islink(os.path.join(place, name)) for name in folders)
        for name in sorted(name for name in files if not name.startswith(".")):
            suffix = Path(name).suffix.lower()
            if suffix in PICTURES:
                found.photos.append(Path(place, name))
            else:
                found.passed_over[suffix or "without suffix"] += 1
    found.unreadable.sort()
    return _Found(found.photos, found.unreadable, +found.passed_over)
