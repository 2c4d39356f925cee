"""What the benchmarks' commands share: one line for what a user got wrong, and results that are never lost or half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from multistyle.errors import MultistyleError
from multistyle.files import atomic_write
from multistyle.messages import say, tell


def run(main: Callable[..., None], stopped: str = "stopped") -> None:
    """Run `main` as a command: a `MultistyleError` ends in its line and exit code 1, Ctrl-C in `stopped` and 130."""
    try:
        typer.run(main)
    except MultistyleError as error:
        say(f"error: {error}")
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        say(stopped)
        raise SystemExit(130) from None


def commit() -> str:
    """The checkout's commit."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()


def make_folder(folder: Path) -> None:
    """Make `folder` where it is not there. Raises `MultistyleError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultistyleError(f"cannot make the folder {folder}: {error.strerror}") from error


def write_results(file: Path, results: dict[str, Any]) -> None:
    """Write `results` as JSON; the place is to be checked (`check_place`) before the work begins."""
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def print_table(results: dict[str, Any], indent: str = "") -> None:
    """Print the numbers as text, one a line, nested ones indented."""
    for name, value in results.items():
        if isinstance(value, dict):
            tell(f"{indent}{name}")
            print_table(value, indent + "  ")
        elif isinstance(value, list):
            for row in value:
                tell(f"{indent}  {'  '.join(f'{v:.3f}' if isinstance(v, float) else str(v) for v in row.values())}")
        else:
            tell(f"{indent}{name:24} {value:.4f}")


def progress(items: Iterable[Any], title: str) -> Iterator[Any]:
    """Go through the items, saying how far on standard error."""
    items = list(items)
    for number, item in enumerate(items, start=1):
        say(f"{title} {number}/{len(items)}", end="\r" if sys.stderr.isatty() and number < len(items) else "\n")
        yield item
