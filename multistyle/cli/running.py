"""How a command runs: exit codes, standard streams, progress, failures of single pictures."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import typer

from ..errors import MultistyleError
from ..messages import Progress, flushed, printable, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from torch import Tensor

# The base of typer's usage errors, which it does not export; it has what is used of its subclass.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
# Exit codes: wrong usage, and nothing was painted; something failed while working; Ctrl-C, as of every program it ends.
USAGE, FAILURE, INTERRUPTED = 2, 1, 130


def run(app: typer.Typer, name: str | None = None) -> None:
    """Run `app` with the program's arguments and exit; prints a `MultistyleError` as one line, with exit code 1.

    name: the program's name in usage lines; None: taken from how Python was started.

    Typer itself turns Ctrl-C into exit code 130.
    """
    _open_standard_streams()
    try:
        code = app(prog_name=name, standalone_mode=False) or 0
    except UsageError as error:
        shown = io.StringIO()
        error.show(shown)
        for line in shown.getvalue().rstrip().split("\n"):
            say(line)
        code = error.exit_code
    except MultistyleError as error:
        say(f"error: {error}")
        code = 1
    except SystemExit as end:  # typer's answer to a reader that left while it printed help
        code = 0 if isinstance(end.__context__, BrokenPipeError) else end.code
    except OSError:  # typer's help on a full disk
        if flushed():
            raise
        code = 1
    raise SystemExit(code)


def _open_standard_streams() -> None:
    """Open closed standard streams to the null device, or text would go into the next file that is opened."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def progress_bar() -> Bar:
    """A progress line on standard error, shown only on a terminal: rich's `Progress`, a context manager."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Description(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(printable(task.description))

    console = Console(stderr=True)
    columns = (SpinnerColumn(), Description(""), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    to_terminal = sys.stdout is not None and sys.stdout.isatty()  # otherwise rich would redirect it to standard error
    return Progress(
        *columns, console=console, transient=True, redirect_stdout=to_terminal, disable=not console.is_terminal
    )


@contextmanager
def showing(title: str) -> Iterator[Progress]:
    """Yield a function that shows progress, called with steps done and total steps; see `progress_bar`."""
    with progress_bar() as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int | None) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, description=f"{title}  {speed:.1f}/s" if speed else title)

        yield show


def counted(pictures: Iterable[Tensor], total: int, title: str) -> Iterator[Tensor]:
    """Pass on the pictures, `total` of them, and show progress."""
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
    """Print one line for each failure among `total` pictures, and end the command if there are any."""
    for failure in failures:
        say(f"error: {failure}")
    if failures:
        if total > 1:
            say(f"{total - len(failures)} of {total} painted")
        raise typer.Exit(FAILURE)
