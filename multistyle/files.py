"""Files that appear complete or not at all, whenever the program is stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import MultistyleError

TEMPORARY = re.compile(r"\..+\.\d+\.part\.\w+")  # .NAME.PID.part.SUFFIX


@contextmanager
def atomic(path: Path, failure: type[MultistyleError] = MultistyleError) -> Iterator[Path]:
    """A temporary path beside `path` to write to: renamed to `path` at the end, removed when anything fails.

    Raises `failure` for an `OSError` inside.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise failure(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove the temporary files that a killed run left in `folder` and the folders in it."""
    for path in folder.rglob(".*.part.*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove the temporary files of `path` itself that killed programs left; none may be writing it now."""
    own = re.compile(rf"\.{re.escape(path.stem)}\.\d+\.part{re.escape(path.suffix)}")
    for part in path.parent.iterdir():
        if own.fullmatch(part.name):
            part.unlink(missing_ok=True)


def check_place(path: Path, failure: type[MultistyleError] = MultistyleError) -> None:
    """Raise `failure` unless a file can be made at `path`, or is there to be replaced."""
    if path.is_dir():
        raise failure(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise failure(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise failure(f"cannot write {path}: the folder {path.parent} is not writable")
