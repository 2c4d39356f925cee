"""What the benchmarks' commands share: one line for what a user got wrong, and results that are never lost or half-written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from multistyle.atomic import atomic
from multistyle.errors import MultistyleError
from train.progress import say


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


def write_results(file: Path, results: dict[str, Any]) -> None:
    """Write `results` as JSON; the place is to be checked (`check_place`) before the work begins."""
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
