"""Random mixes for the pictures of a folder, and the record of which painting has which."""

from __future__ import annotations

import csv
import errno
import os
import random
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from .errors import MultistyleError
from .files import atomic_write

CONCENTRATION = 2.0  # of random mixes; higher spreads the weight over more styles


def draw_mix(names: Sequence[str], seed: int, picture: str) -> str:
    """A random mix of the styles `names`, in hundredths; the same for the same seed and picture name.

    From a symmetric Dirichlet distribution over all styles, photo included: any blend can come, and two or three
    styles have most of the weight however many there are.
    """
    draws = random.Random(f"{seed}/{picture}")
    shares = [draws.gammavariate(CONCENTRATION / len(names), 1) for _ in names]
    weights = ((name, round(share / sum(shares), 2)) for name, share in zip(names, shares))
    return ",".join(f"{name}={weight:g}" for name, weight in weights if weight)


class BlendRecord:
    """The mixes of the paintings in a folder, as rows `file,mix` of blends.csv in it.

    Rows are to be added ahead of their paintings: then, whenever a run is killed, no painting lacks its row, and
    `tidy` drops those whose painting did not come. Both raise `MultistyleError` where the file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "blends.csv"

    def tidy(self) -> None:
        """Rewrite the file by name, with one row for each painting that is there."""
        rows = {}
        if self.path.is_file():
            text = self.path.read_bytes().decode("utf-8", "surrogateescape")
            complete = StringIO(text[: text.rfind("\n") + 1], newline="")  # the last row may be torn
            rows = {row[0]: row[1] for row in csv.reader(complete) if len(row) == 2}
        rows = {name: mix for name, mix in rows.items() if (self.folder / name).is_file()}
        with atomic_write(self.path) as temporary:
            temporary.write_bytes(b"".join(map(_line, [("file", "mix"), *sorted(rows.items())])))

    def add(self, painting: Path, mix: str) -> None:
        """Append the row of a painting in the folder, wholly or not at all."""
        line = _line((painting.relative_to(self.folder).as_posix(), mix))
        try:
            with self.path.open("ab", buffering=0) as file:
                end = file.tell()
                if file.write(line) < len(line):  # how a disk that is just full says so
                    file.truncate(end)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise MultistyleError(f"cannot write {self.path}: {error.strerror}") from error


def _line(row: tuple[str, str]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode("utf-8", "surrogateescape")
