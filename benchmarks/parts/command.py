"""What the commands share: errors of one line, JSON results, tables and progress."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import typer

from multistyle.cli.running import run as run_app
from multistyle.errors import MultistyleError, suggestion
from multistyle.files import atomic_write, check_place
from multistyle.messages import say, tell

Item = TypeVar("Item")


def run(main: Callable[..., None], stopped: str = "stopped") -> None:
    """Run `main` as a command (see `multistyle.cli.running`); Ctrl-C prints `stopped` and exits with code 130."""

    @functools.wraps(main)
    def stoppable(**options: Any) -> None:
        try:
            main(**options)
        except KeyboardInterrupt:
            say(stopped)
            raise typer.Exit(130) from None

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(stoppable)
    run_app(app)


def chosen(text: str, known: Iterable[str], kind: str) -> list[str]:
    """Names separated by commas. Raises `MultistyleError` for an unknown name; `kind` says what it names."""
    names, known = text.split(","), list(known)
    for name in names:
        if name not in known:
            raise MultistyleError(f"unknown {kind} {name!r}; {suggestion(name, known)}")
    return names


def numbers(text: str, what: str) -> list[float]:
    """Positive numbers separated by commas. Raises `MultistyleError`."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < number < float("inf") for number in found):
        raise MultistyleError(f"{what} are positive numbers separated by commas, not {text!r}")
    return found


def whole_numbers(text: str, what: str) -> list[int]:
    """Positive whole numbers separated by commas. Raises `MultistyleError`."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise MultistyleError(f"{what} are whole numbers separated by commas, not {text!r}")
    return [int(part) for part in parts]


def commit() -> str:
    """The commit that is checked out; empty if this is no Git checkout."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()


def check_results(file: Path | None, *inputs: Path | None) -> None:
    """Raise `MultistyleError` unless results can be written to `file`; None, which means nowhere, always passes.

    inputs: the files and folders that the command reads; results never replace one of them.
    """
    if file is not None:
        check_place(file, inputs=[path for path in inputs if path is not None])


def write_results(file: Path | None, results: dict[str, Any]) -> None:
    """Write `results` as JSON to `file`, if there is one. Call `check_results` before the work begins."""
    if file is None:
        return
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def print_table(results: dict[str, Any], indent: str = "") -> None:
    """Print the numbers, one per line, with nested ones indented."""
    for name, value in results.items():
        if isinstance(value, dict):
            tell(f"{indent}{name}")
            print_table(value, indent + "  ")
        elif isinstance(value, list):
            for row in value:
                tell(f"{indent}  {'  '.join(f'{v:.3f}' if isinstance(v, float) else str(v) for v in row.values())}")
        else:
            tell(f"{indent}{name:24} {value:.4f}")


def progress(items: Iterable[Item], title: str) -> Iterator[Item]:
    """Pass on the items, with a line of progress on standard error for each."""
    every = list(items)
    for number, item in enumerate(every, start=1):
        say(f"{title} {number}/{len(every)}", end="\r" if sys.stderr.isatty() and number < len(every) else "\n")
        yield item
