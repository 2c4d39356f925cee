"""The command `styles`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..messages import tell
from .running import FAILURE, failing_with


def styles(
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weight file. Default: the shipped one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the styles of a weight file: name, artist, title, year."""
    from ..weights import load_weights

    with failing_with(FAILURE):
        catalogue = load_weights(weights).catalogue
    if as_json:
        rows = [{key: getattr(style, key) for key in ("name", "artist", "title", "year")} for style in catalogue]
        lines = json.dumps(rows, indent=2).split("\n")  # ASCII, for any encoding
    else:
        name_width, artist_width = (max(len(getattr(style, key)) for style in catalogue) for key in ("name", "artist"))
        works = [", ".join(filter(None, (style.title, style.year))) for style in catalogue]
        lines = [
            f"{style.name:{name_width}}  {style.artist:{artist_width}}  {work}".rstrip()
            for style, work in zip(catalogue, works, strict=True)
        ]
    if not all(list(map(tell, lines))):
        raise typer.Exit(FAILURE)
