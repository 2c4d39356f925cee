"""Which files and members of archives are pictures to train with."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from multistyle.errors import MultistyleError
from multistyle.files import check_input
from multistyle.folder_plan import PICTURES
from multistyle.messages import say

LARGEST_MEMBER = 1 << 28  # bytes; a larger member of an archive is no photo


class DataError(MultistyleError):
    """Photos or paintings that are missing or cannot be used."""


def is_picture(name: str) -> bool:
    """Whether a file of this name counts as a picture. Hidden ones do not: macOS leaves a "._a.jpg" beside a.jpg."""
    path = Path(name)
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def pictures_in(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, by name. Raises `DataError` if it is not a folder that can be read."""
    try:
        return sorted(path for path in folder.iterdir() if is_picture(path.name) and path.is_file())
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error


Entry = tuple[Path, int, int, str]  # file, offset, length and name of a picture; length 0 means the whole file


def list_photos(source: Path) -> Iterator[Entry]:
    """The pictures of a folder, nested, or of an uncompressed tar archive. Raises `DataError`."""
    if source.is_dir():
        found = [Path(folder) / name for folder, _, names in os.walk(source, onerror=_say_skipped) for name in names]
        yield from ((path, 0, 0, path.name) for path in sorted(found) if is_picture(path.name) and path.is_file())
        return
    check_input(source, DataError)
    try:
        with tarfile.open(source, "r:") as archive:
            yield from _list_members(source, archive)
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror or error}") from error
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the latter two for sizes that are out of range
        raise DataError(
            f"{source} is neither a folder nor an uncompressed tar archive, or is damaged ({error})"
        ) from error


def _list_members(source: Path, archive: tarfile.TarFile) -> Iterator[Entry]:
    total = source.stat().st_size
    for member in archive:
        end = member.offset_data + (0 if member.issparse() else member.size)
        if member.size < 0 or not 0 <= end <= total:
            raise DataError(f"{source} is damaged: it has not got the {member.size} bytes of its member {member.name}")
        if member.isfile() and member.size and is_picture(member.name):
            if member.issparse() or member.size > LARGEST_MEMBER:
                kind = "stored as a sparse file" if member.issparse() else f"larger than {LARGEST_MEMBER >> 20} MiB"
                say(f"skipped: {source}/{member.name} is {kind}")
                continue
            yield source, member.offset_data, member.size, member.name


def _say_skipped(error: OSError) -> None:
    say(f"skipped: cannot read {error.filename}: {error.strerror}")
