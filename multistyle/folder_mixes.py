"""Random mixes for the pictures of a folder, and the record of them in blends.csv."""

from __future__ import annotations

import csv
import errno
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path

from .errors import MultistyleError
from .files import Presence, append_to, atomic_write, check_place
from .folder_plan import Part

HEADER = ["file", "mix"]
FILE_NAMES = sys.getfilesystemencodeerrors()  # keeps names that are not UTF-8
CONCENTRATION = 2.0  # of random mixes; higher spreads the weight over more styles


def draw_mix(names: Sequence[str], seed: int, picture: str) -> str:
    """A random mix of the styles `names`, in hundredths; the same for the same seed and picture name.

    Drawn from a symmetric Dirichlet distribution over all styles, photo included: any blend is possible, and two or
    three styles get most of the weight, however many there are.
    """
    draws = random.Random(f"{seed}/{picture}".encode("utf-8", "surrogatepass"))  # any name, UTF-8 or not
    shares = [draws.gammavariate(CONCENTRATION / len(names), 1) for _ in names]
    weights = ((name, round(share / sum(shares), 2)) for name, share in zip(names, shares))
    return ",".join(f"{name}={weight:g}" for name, weight in weights if weight)


class BlendRecord:
    """The mixes of the paintings in a folder, as rows `file,mix` of blends.csv in it.

    part: a run that paints only this part adds its rows to a file of the part. The files of all parts are merged into
    blends.csv by the last part to end, and removed by the next run without a part. No part changes another's file:
    parts may run on several machines, where locks may not reach.

    Add a row before its painting is written; then no painting lacks a row, whenever a run is killed. Rows without a
    painting are dropped by the next run that is alone in the folder. Raises `MultistyleError` if one of the files is
    of another kind, and in each method if it cannot be written.
    """

    def __init__(self, folder: Path, part: Part | None = None) -> None:
        self.folder, self.whole, self.part = folder, folder / "blends.csv", part
        self.path = folder / f"blends.part-{part.number}-of-{part.total}.csv" if part else self.whole
        for path in {self.path, self.whole}:
            if path.exists():
                check_place(path)
        self._read_all()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tidy the files before and after a run. If other runs use the folder, the last one to end does it."""
        presence = Presence(self.folder)
        try:
            if presence.alone() and self.part is None:
                self._tidy()
            presence.share()
            yield
            if presence.alone():
                self._tidy()
        finally:
            presence.end()

    def _parts(self) -> list[Path]:
        """The files of all parts, the one that was written to last at the end."""
        return sorted(self.folder.glob("blends.part-*-of-*.csv"), key=_written)

    def _read_all(self) -> dict[str, str]:
        rows: dict[str, str] = {}
        for path in (self.whole, *self._parts()):
            try:
                rows |= read_rows(path.read_bytes(), str(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise MultistyleError(f"cannot read {path}: {error.strerror}") from error
        return rows

    def _tidy(self) -> None:
        """Rewrite blends.csv sorted by name, with one row for each painting that exists."""
        parts = self._parts()
        rows = {name: mix for name, mix in self._read_all().items() if os.path.isfile(self.folder / name)}
        with atomic_write(self.whole) as temporary:
            temporary.write_bytes(format_rows(rows))
        for path in parts if self.part is None else ():
            with suppress(OSError):  # it is merged again by the next run
                path.unlink()

    def add(self, mixes: Mapping[Path, str]) -> None:
        """Append the rows of paintings in the folder, completely or not at all."""
        lines = b"".join(_line((path.relative_to(self.folder).as_posix(), mix)) for path, mix in mixes.items())
        try:
            with append_to(self.path) as file:
                end = file.tell()
                lines = lines if end else _line(HEADER) + lines  # the file was removed meanwhile
                if file.write(lines) < len(lines):  # the disk is full
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise MultistyleError(f"cannot write {self.path}: {error.strerror}") from error


def _written(path: Path) -> int:
    """When `path` was last written to, in ns; 0 if it has been removed meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def read_rows(content: bytes, name: str, header: Sequence[str] = HEADER) -> dict[str, str]:
    """The rows of a record of two columns, without a last row that is torn. Raises `MultistyleError`.

    name: of its file, for errors.
    """
    text = content.decode("utf-8-sig", FILE_NAMES)
    if text and text.partition("\n")[0].strip() != ",".join(header):
        raise MultistyleError(
            f"{name} is not a list of {'mixes' if header == HEADER else 'errors'}, which begins with "
            f"{','.join(header)}; "
            "move it away, or choose another output folder"
        )
    complete = StringIO(text[: text.rfind("\n") + 1], newline="")
    try:
        return {row[0]: row[1] for row in csv.reader(complete) if len(row) == 2 and row != header}
    except csv.Error as error:
        raise MultistyleError(f"{name} is damaged ({error}); move it away, or repair it") from error


def format_rows(rows: Mapping[str, str], header: Sequence[str] = HEADER) -> bytes:
    """The content of a record with these rows, sorted by name."""
    return b"".join(map(_line, [header, *sorted(rows.items())]))


def _line(row: Sequence[str]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode("utf-8", FILE_NAMES)
