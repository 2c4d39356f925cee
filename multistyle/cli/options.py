"""What the commands share: options, messages, exit codes, progress. Torch is imported when work begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MultistyleError
from ..messages import say

if TYPE_CHECKING:
    from rich.progress import Progress
    from torch import Tensor

    from ..stylizer import Stylizer

USAGE, FAILURE = 2, 1  # exit codes: wrong usage, found before any work; and what failed while working

Weights = Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.", metavar="FILE")]
Mix = Annotated[
    str | None, typer.Option(help="Styles and weights in any scale; default: the first painter.", metavar="MIX")
]
Strength = Annotated[float, typer.Option(help="0 is the photo as it is, 1 the full effect.")]
Size = Annotated[int | None, typer.Option(help="Longer side of the painting in pixels; default: as it is.")]
KeepColors = Annotated[bool, typer.Option("--keep-colors", help="Keep the photo's colours.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network first: a minute or so, then faster; for many pictures.")
]


def prepare(
    weights: Path | None,
    device: str,
    precision: str,
    mixes: list[str],
    compile: bool = False,
    style_files: Sequence[Path] = (),
) -> tuple[Stylizer, list[Tensor]]:
    """The stylizer that the options ask for, and a blend (S,) for each mix; what is wrong with them ends the command.

    What can be seen without the weight file is said before it is read.
    """
    from ..blend import parse_mix
    from ..device import choose_device, choose_precision
    from ..stylizer import load_stylizer

    with failing_with(USAGE):
        choose_precision(precision, choose_device(device))
        parsed = [parse_mix(mix) for mix in mixes]
    with failing_with(FAILURE):
        stylizer = load_stylizer(weights, device, precision, compile, style_files)
    with failing_with(USAGE):
        return stylizer, [stylizer.blend(mix) for mix in parsed]


def check_size(size: int | None) -> None:
    """Raise `MultistyleError` for a size no picture can have."""
    if size is not None and size < 1:
        raise MultistyleError(f"a size is at least 1 pixel, not {size}")


def progress_bar() -> Progress:
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
