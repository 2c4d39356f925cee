"""Folders and URIs as places with files in them: whatever pyarrow opens, such as s3://bucket/folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from ..errors import MultistyleError, one_line
from ..files import atomic_write, make_folder

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

BUCKETS = {"s3", "gcs", "abfs"}  # file systems in which a file appears when it is complete
CHUNK = 1 << 24  # bytes, of a file on its way to a place


class Place:
    """A folder, on this machine or in a bucket. Names of files are relative to it, with forward slashes.

    text: a path, or a URI. Credentials are those of the environment; see pyarrow's documentation of file systems.

    Can be pickled. Every method raises `MultistyleError` if the place does not answer, and `FileNotFoundError` if the
    file is missing.
    """

    def __init__(self, text: str) -> None:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem, LocalFileSystem

        path = local_path(text)
        self.local = path is not None
        if path is not None:
            self.title, self.root = str(path), path.as_posix()
            self.system: FileSystem = LocalFileSystem()
            return
        parts = urlsplit(text)
        self.title = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")  # without secrets
        try:
            self.system, root = FileSystem.from_uri(text)
        except (ArrowException, OSError, ValueError) as error:
            raise MultistyleError(f"cannot open {self.title}: {one_line(error)}") from error
        if self.system.type_name not in BUCKETS:
            raise MultistyleError(f"cannot open {self.title}: give a folder, or a URI with s3://, gs:// or abfs://")
        self.root = root.rstrip("/")

    def name_of(self, name: str) -> str:
        """The whole name of a file, for people."""
        return f"{self.title}/{name}"

    def sizes(self) -> dict[str, int]:
        """The size in bytes of every file in the folder and its sub-folders, sorted by name; none if it is missing."""
        from pyarrow.fs import FileSelector, FileType

        with self._named(""):
            found = self.system.get_file_info(FileSelector(self.root, allow_not_found=True, recursive=True))
        start = len(self.root) + 1
        return {file.path[start:]: file.size for file in sorted(found, key=_path) if file.type == FileType.File}

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """A file to read from the beginning to the end; it cannot seek."""
        with self._named(name):
            stream = self.system.open_input_stream(f"{self.root}/{name}")
        with stream:
            yield stream

    def read(self, name: str) -> bytes:
        """The content of a file."""
        with self._named(name), self.system.open_input_stream(f"{self.root}/{name}") as stream:
            return stream.read()

    def write(self, name: str, content: bytes | memoryview | BinaryIO) -> None:
        """Write a file completely or not at all.

        content: its bytes; or, for a new file, a binary file that holds them.
        """
        if not self.local:
            with self._named(name):
                self._upload(f"{self.root}/{name}", content)
            return
        path = Path(self.root, name)
        make_folder(path.parent)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            file.writelines(_chunks(content))

    def _upload(self, path: str, content: bytes | memoryview | BinaryIO) -> None:
        at_once = isinstance(content, (bytes, memoryview))
        try:
            with self.system.open_output_stream(path) as stream:
                for chunk in _chunks(content):
                    stream.write(chunk)
        except BaseException:
            if not at_once:  # closing the stream has completed the file, as far as it was sent
                with suppress(Exception):
                    self.system.delete_file(path)
            raise

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._named(name):
            self.system.delete_file(f"{self.root}/{name}")

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """Turn errors into a `MultistyleError` of one line that names the file."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:  # pyarrow's too
            shown = self.name_of(name) if name else self.title
            raise MultistyleError(f"cannot reach {shown}: {one_line(error)}") from error


def local_path(text: str) -> Path | None:
    """The folder that `text` names on this machine, without links; None for a URI of another kind."""
    if not text:
        raise MultistyleError("the name of a folder is empty")
    parts = urlsplit(text)
    if parts.scheme == "file":
        return Path(os.path.realpath(unquote(parts.path)))
    return None if "://" in text else Path(os.path.realpath(text))


def check_pyarrow() -> None:
    """Raise `MultistyleError` if pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise MultistyleError("this needs pyarrow: pip install 'multistyle[ray]'")


def _chunks(content: bytes | memoryview | BinaryIO) -> Iterator[bytes | memoryview]:
    if isinstance(content, (bytes, memoryview)):
        yield content
    else:
        while chunk := content.read(CHUNK):
            yield chunk


def _path(file: object) -> str:
    return file.path  # type: ignore[attr-defined]
