"""The command `styles`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..messages import tell
from .options import CatalogueOptions, command, load_model
from .running import FAILURE, failing_with


@command
def styles(
    catalogue: CatalogueOptions,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the styles of a weight file: name, artist, title, year."""
    with failing_with(FAILURE):
        found = load_model(catalogue).catalogue
    if as_json:
        rows = [{key: getattr(style, key) for key in ("name", "artist", "title", "year")} for style in found]
        lines = json.dumps(rows, indent=2).split("\n")  # ASCII, for any encoding
    else:
        name_width, artist_width = (max(len(getattr(style, key)) for style in found) for key in ("name", "artist"))
        works = [", ".join(filter(None, (style.title, style.year))) for style in found]
        lines = [
            f"{style.name:{name_width}}  {style.artist:{artist_width}}  {work}".rstrip()
            for style, work in zip(found, works, strict=True)
        ]
    arrived = [tell(line) for line in lines]
    if not all(arrived):
        raise typer.Exit(FAILURE)
