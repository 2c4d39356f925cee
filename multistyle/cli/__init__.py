"""The command line: options, progress and messages; no computation."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from ..messages import tell
from .export import export
from .folder import folder
from .page import page
from .running import run
from .sequence import sequence
from .sheet import sheet
from .styles import styles
from .stylize import stylize
from .video import video

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (stylize, styles, folder, sequence, sheet, video, page, export):
    app.command()(command)


def show_version(wanted: bool) -> None:
    if wanted:
        import multistyle as package

        tell(f"multistyle {package.__version__}")
        raise typer.Exit


@app.callback()
def multistyle(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=show_version)
    ] = False,
) -> None:
    """Paint photos in any mix of painters, with one network."""


def main() -> None:
    """Run the command."""
    warnings.filterwarnings("ignore", module="PIL")  # warnings about odd metadata; users can do nothing about them
    run(app, "multistyle")
