"""How a command runs: exit codes, progress, failures of single pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ..errors import MultistyleError
from ..messages import Progress, printable, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from torch import Tensor

USAGE, FAILURE = 2, 1  # exit codes: wrong usage, and nothing was painted; something failed while working


def progress_bar() -> Bar:
    """A line of progress on standard error, where that is a terminal; a rich `Progress`, to be entered."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def showing(title: str) -> Iterator[Progress]:
    """A function that shows how far a job is, in steps done and steps in all; see `progress_bar`."""
    with progress_bar() as bar:
        name = printable(title)
        task = bar.add_task(name, total=None)

        def show(done: int, total: int | None) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, description=f"{name}  {speed:.1f}/s" if speed else name)

        yield show


def counted(pictures: Iterable[Tensor], total: int, title: str) -> Iterator[Tensor]:
    """The pictures as they come, `total` of them, with progress."""
    with showing(title) as show:
        for number, picture in enumerate(pictures, start=1):
            yield picture
            show(number, total)


@contextmanager
def failing_with(code: int) -> Iterator[None]:
    """Turn a `MultistyleError` inside into its one line on standard error and the exit code."""
    try:
        yield
    except MultistyleError as error:
        say(f"error: {error}")
        raise typer.Exit(code) from error


def report(failures: list[str], total: int) -> None:
    """End the command with its failures, one line each, where there are any of `total` pictures."""
    for failure in failures:
        say(f"error: {failure}")
    if failures:
        if total > 1:
            say(f"{total - len(failures)} of {total} painted")
        raise typer.Exit(FAILURE)
