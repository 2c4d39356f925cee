"""Files that appear complete or not at all, whenever the program is stopped, and never in place of an input."""

from __future__ import annotations

import io
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import MultistyleError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # mypy has no type for a module that may be missing

MARK = ".multistyle-part"  # in the name of every temporary file
DAY = 86400.0  # s; without locks, a temporary file older than this is taken for stale


class NamedBytes(io.BytesIO):
    """Bytes as a binary file, with the name that errors show."""

    def __init__(self, content: bytes, name: object) -> None:
        super().__init__(content)
        self.name = str(name)


@contextmanager
def atomic_write(path: str | Path, failure: type[MultistyleError] = MultistyleError) -> Iterator[Path]:
    """A temporary path beside `path` to write to: renamed to `path` at the end, removed when anything fails.

    The temporary file is created exclusively, has a short name whatever the length of the target's, and stays locked
    while it is written, so that `remove_stale` can tell it from one that a killed program left. If `path` is a
    link, its target is written. A replaced file keeps its permissions. Raises `failure` for an `OSError` inside.
    """
    target = Path(os.path.realpath(path))
    temporary = _name_beside(target)
    handle: int | None = None
    try:
        while (handle := _create(temporary)) is None:
            temporary = _name_beside(target)
        yield temporary
        with suppress(OSError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        if fcntl is None:  # Windows cannot rename an open file
            os.close(handle)
            handle = None
        temporary.replace(target)
    except OSError as error:
        raise failure(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they are missing. Raises `MultistyleError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise MultistyleError(f"cannot make the folder {folder}: {reason}") from error


def _name_beside(target: Path) -> Path:
    suffix = target.suffix if len(target.suffix) <= 16 else ""
    return target.with_name(f".{secrets.token_hex(4)}{MARK}{suffix}")


def _create(path: Path) -> int | None:
    """Create `path` and lock it; the handle, or None where another program's `remove_stale` was faster."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    _lock(handle)
    with suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path), os.fstat(handle)):
            return handle
    os.close(handle)
    return None


def _lock(handle: int) -> None:
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)


@contextmanager
def append_to(path: str | Path) -> Iterator[BinaryIO]:
    """Open `path` to append to it, unbuffered; other programs that do the same wait."""
    with Path(path).open("ab", buffering=0) as file:
        _lock(file.fileno())
        file.seek(0, os.SEEK_END)
        yield file


class Presence:
    """A lock that tells other programs that this one works in `folder`; it ends with the program, however that ends.

    On systems without locks, each program believes that it is alone.
    """

    def __init__(self, folder: str | Path) -> None:
        self._handle: int | None = None
        if fcntl is not None:
            with suppress(OSError):
                self._handle = os.open(folder, os.O_RDONLY)

    def alone(self) -> bool:
        """Whether no other program works in the folder; if so, others wait until `share` or `end`."""
        if self._handle is not None:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass
        return True

    def share(self) -> None:
        """Let others work in the folder too; waits for a program that has the folder alone."""
        if self._handle is not None:
            with suppress(OSError):
                fcntl.flock(self._handle, fcntl.LOCK_SH)

    def end(self) -> None:
        if self._handle is not None:
            os.close(self._handle)


def remove_stale(folder: str | Path, nested: bool = False) -> None:
    """Remove temporary files that killed programs left in `folder`; if `nested`, in its sub-folders too.

    Files that a running program still writes are left alone. Files that cannot be removed stay; nothing is raised.
    """
    pattern = f".*{MARK}*"
    with suppress(OSError):
        for path in Path(folder).rglob(pattern) if nested else Path(folder).glob(pattern):
            with suppress(OSError):
                if path.is_file() and not path.is_symlink() and _is_stale(path):
                    path.unlink(missing_ok=True)


def _is_stale(path: Path) -> bool:
    if fcntl is None:
        return _is_old(path)
    with path.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return _is_old(path)
        return True


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > DAY


def check_input(path: str | Path, failure: type[MultistyleError] = MultistyleError) -> None:
    """Raise `failure` unless `path` is a regular file, or a link to one; a pipe or a device could block for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise failure(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISDIR(mode):
        raise failure(f"cannot read {path}: it is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise failure(f"cannot read {path}: it is a pipe or a device, not a regular file")


def check_place(
    path: str | Path, failure: type[MultistyleError] = MultistyleError, inputs: Iterable[str | Path] = ()
) -> None:
    """Raise `failure` unless a file can be created or replaced at `path`.

    inputs: files and folders that the program reads. None of these files, under whatever name or link, and no file in
    these folders may be replaced.
    """
    path = Path(path)
    try:
        target = Path(os.path.realpath(path))
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:
        raise failure(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise failure(f"cannot write {path}: it is a folder")
    if mode is not None and not stat.S_ISREG(mode):
        raise failure(f"cannot write {path}: it is a pipe or a device, not a regular file")
    if not target.parent.is_dir():
        raise failure(f"cannot write {path}: there is no folder {target.parent if path.is_symlink() else path.parent}")
    if not os.access(target.parent, os.W_OK):
        raise failure(f"cannot write {path}: the folder {target.parent} is not writable")
    check_not_inputs([path], inputs, failure)


def check_not_inputs(
    paths: Iterable[str | Path], inputs: Iterable[str | Path], failure: type[MultistyleError] = MultistyleError
) -> None:
    """Raise `failure` if one of `paths` is one of `inputs`, under whatever name or link, or a file in their folders."""
    files, folders = {}, {}
    for source in inputs:
        with suppress(OSError, ValueError):  # reading it will say what is wrong
            found = os.stat(source)
            files[found.st_dev, found.st_ino] = source
            if stat.S_ISDIR(found.st_mode):
                folders[os.path.realpath(source)] = source
    for path in paths:
        with suppress(OSError, ValueError):  # there is nothing to lose
            found = os.stat(path)
            target = Path(os.path.realpath(path))
            held = [source for folder, source in folders.items() if target.is_relative_to(folder)]
            replaced = files.get((found.st_dev, found.st_ino), held[0] if held else None)
            if replaced is not None:
                raise failure(f"cannot write {path}: it is an input ({replaced}); choose another output")
