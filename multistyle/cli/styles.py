"""The command `styles`."""

from __future__ import annotations

import json
from dataclasses import asdict
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
        tell(json.dumps([asdict(style) for style in catalogue], ensure_ascii=False, indent=2))
        return
    names, artists = (max(len(getattr(style, field)) for style in catalogue) for field in ("name", "artist"))
    for style in catalogue:
        year = f", {style.year}" if style.year else ""
        tell(f"{style.name:{names}}  {style.artist:{artists}}  {style.title}{year}".rstrip())
