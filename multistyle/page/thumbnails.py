"""The palette: what each style of the loaded weight file looks like, and what is known about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..image import encode_picture, read_picture
from ..messages import Progress, no_progress
from ..painting import PaintOptions
from ..stylizer import Stylizer

STATIC = Path(__file__).parent / "static"
SAMPLE = STATIC / "sample.jpg"
SIZE = 192  # px


def style_list(stylizer: Stylizer) -> list[dict[str, str]]:
    """Name, title, artist and year of every style but photo."""
    return [
        {"name": style.name, "title": style.title, "artist": style.artist, "year": style.year}
        for style in stylizer.styles[1:]
    ]


def default_style(stylizer: Stylizer) -> str:
    """The style that is painted without a mix."""
    return stylizer.names[int(stylizer.blend().argmax())]


def thumbnails(stylizer: Stylizer, progress: Progress = no_progress) -> dict[str, bytes]:
    """The sample photo painted in every style: JPEG files by the names of the styles."""
    sample, painted = read_picture(SAMPLE, size=SIZE), {}
    for number, name in enumerate(stylizer.painters):
        progress(number, len(stylizer.painters))
        painted[name] = bytes(encode_picture(".jpg", stylizer.paint_picture(sample, PaintOptions(name)).picture))
    return painted


def config(stylizer: Stylizer, **facts: Any) -> dict[str, Any]:
    """What the page needs to know before it starts.

    facts: what depends on how the page is served.
    """
    styles = [style | {"thumbnail": f"thumbnails/{style['name']}.jpg"} for style in style_list(stylizer)]
    return {"styles": styles, "default": default_style(stylizer), **facts}


def config_file(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, ensure_ascii=False, indent=1).encode()
