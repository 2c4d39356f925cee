"""Random mixes for the pictures of a folder, and the record of them in blends.csv."""

from __future__ import annotations

import csv
import errno
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from .errors import MultistyleError
from .files import Presence, append_to, atomic_write, check_place

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

    Add a row before its painting is written; then no painting lacks a row, whenever a run is killed. Rows without a
    painting are dropped by the next run that is alone in the folder. Raises `MultistyleError` if blends.csv is another
    kind of file, and in each method if the file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "blends.csv"
        if self.path.exists():
            check_place(self.path)
        self._read()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tidy the file before and after a run. If other runs use the folder, the last one to end does it."""
        presence = Presence(self.folder)
        try:
            if presence.alone():
                self._tidy()
            presence.share()
            yield
            if presence.alone():
                self._tidy()
        finally:
            presence.end()

    def _read(self) -> dict[str, str]:
        try:
            text = self.path.read_bytes().decode("utf-8-sig", FILE_NAMES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise MultistyleError(f"cannot read {self.path}: {error.strerror}") from error
        if text and text.partition("\n")[0].strip() != ",".join(HEADER):
            raise MultistyleError(
                f"{self.path} is not a list of mixes, which begins with {','.join(HEADER)}; "
                "move it away, or choose another output folder"
            )
        complete = StringIO(text[: text.rfind("\n") + 1], newline="")  # the last row may be torn
        try:
            return {row[0]: row[1] for row in csv.reader(complete) if len(row) == 2 and row != HEADER}
        except csv.Error as error:
            raise MultistyleError(f"{self.path} is damaged ({error}); move it away, or repair it") from error

    def _tidy(self) -> None:
        """Rewrite the file sorted by name, with one row for each painting that exists."""
        rows = {name: mix for name, mix in self._read().items() if os.path.isfile(self.folder / name)}
        with atomic_write(self.path) as temporary:
            temporary.write_bytes(b"".join(map(_line, [HEADER, *sorted(rows.items())])))

    def add(self, painting: Path, mix: str) -> None:
        """Append the row of a painting in the folder, completely or not at all."""
        line = _line((painting.relative_to(self.folder).as_posix(), mix))
        try:
            with append_to(self.path) as file:
                end = file.tell()
                line = line if end else _line(HEADER) + line  # the file was removed meanwhile
                if file.write(line) < len(line):  # the disk is full
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise MultistyleError(f"cannot write {self.path}: {error.strerror}") from error


def _line(row: Sequence[str]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode("utf-8", FILE_NAMES)
