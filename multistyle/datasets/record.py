"""The records of a run over a data set, written by the one program that leads it: blends.csv and failures.csv."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from ..folder_mixes import HEADER, BlendRecord, format_rows, read_rows
from .places import Place
from .plan import DataPlan

BLENDS, FAILURES = "blends.csv", "failures.csv"
FAILURES_HEADER = ["file", "error"]


def read_record(place: Place, name: str, header: Sequence[str] = HEADER) -> dict[str, str]:
    """The rows of a record in a place; none if it is missing. Raises `MultistyleError` for another kind of file."""
    with suppress(FileNotFoundError):
        return read_rows(place.read(name), place.name_of(name), header)
    return {}


@contextmanager
def recording(plan: DataPlan, mixes: Mapping[str, str] | None) -> Iterator[None]:
    """Keep blends.csv in the target while the jobs of a plan are painted.

    mixes: that of each painting to come, by its name in the target; None: there is nothing to record.

    All rows are there before the first painting; then no painting lacks a row, whenever the run is killed. At the end,
    rows without a painting are dropped. Raises `MultistyleError` as `BlendRecord` does.
    """
    if mixes is None:
        yield
    elif plan.target.local:
        record = BlendRecord(plan.folder.target)
        with record.running():
            record.add({plan.folder.target / name: mix for name, mix in mixes.items()})
            yield
    else:
        rows = {**read_record(plan.target, BLENDS), **mixes}
        plan.target.write(BLENDS, format_rows(rows))
        yield
        there = plan.target.sizes()
        plan.target.write(BLENDS, format_rows({name: mix for name, mix in rows.items() if name in there}))


def record_failures(plan: DataPlan, failures: Mapping[str, str], left: Container[str] = ()) -> None:
    """List the failed jobs of a run in failures.csv in the target; without any, remove the list of an earlier run.

    failures: the error of each, by its name in the target.
    left: names of jobs that this run did not come to; what an earlier run listed of them is kept.

    Raises `MultistyleError` if failures.csv is another kind of file, or cannot be written.
    """
    earlier = read_record(plan.target, FAILURES, FAILURES_HEADER)
    failures = {name: error for name, error in earlier.items() if name in left} | dict(failures)
    if failures:
        plan.target.write(FAILURES, format_rows(failures, FAILURES_HEADER))
    elif earlier:
        plan.target.remove(FAILURES)
