"""The command `stylize`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ..errors import MultistyleError, as_line
from ..files import NamedBytes
from ..messages import say, send, tell
from .options import LookOptions, Mix, ModelOptions, StripOptions, command, input_files, prepare
from .outputs import STREAM, plan
from .running import FAILURE, USAGE, failing_with, report, showing

if TYPE_CHECKING:
    from ..painting import Painted, PaintOptions
    from ..stylizer import Stylizer


@command
def stylize(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Pictures to paint; - is standard input.")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="File to write; a folder (NAME/), created if missing; a template with {stem}, {suffix}, {name} and "
            "{mix}; or - for standard output.",
        ),
    ],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    mix: Mix = None,
    format: Annotated[
        str | None, typer.Option(help="With -o -: png, jpeg, webp, tiff, avif, bmp or ppm. Default: the photo's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each picture.")] = False,
) -> None:
    """Paint each PHOTO: multistyle stylize photo.jpg -o out.png --mix starry=0.7,scream=0.3"""
    from ..blend import mix_text
    from ..image import frames

    with failing_with(USAGE):
        check_streams(photos, output, format, as_json)
    stylizer, options = prepare(model, look, [mix] if mix is not None else [], strips)
    mixed = mix_text(stylizer.blend(options.blend, options.strength), stylizer.names)
    with failing_with(USAGE):
        jobs = plan(photos, output, mixed, input_files(model, look))
    note = say if output == STREAM else tell  # standard output is for the picture alone
    if not as_json:
        note(f"mix {mixed}")
    failures, arrived = [], True
    for photo, target in jobs:
        name = "standard input" if photo == STREAM else photo
        facts: dict[str, Any] = {"input": photo, "output": str(target)}
        started = time.perf_counter()
        try:
            source = standard_input() if photo == STREAM else Path(photo)
            painted = paint_one(stylizer, source, name, target, options, format)
            height, width = painted.picture.image.shape[1:]
            seconds = round(time.perf_counter() - started, 3)
            facts |= {"size": [width, height], "mix": mixed, "seconds": seconds, "strips": painted.strips}
            if not as_json:
                note(f"{target or 'standard output'}  {width} x {height}{strip_note(painted, options)}")
            if (count := frames(source)) > 1:
                say(f"{name} is an animation: the first of its {count} frames is painted; multistyle video paints all")
        except Exception as error:  # any error is a failure of this photo alone; the others are painted
            line = as_line(error, f"cannot paint {name}")
            named = name in line or str(target) in line
            failures.append(line if named else f"cannot paint {name}: {line}")
            facts["error"] = failures[-1]
        if as_json:
            arrived &= tell(json.dumps(facts))  # ASCII, for any encoding
    report(failures, len(jobs))
    if not arrived:
        raise typer.Exit(FAILURE)


def strip_note(painted: Painted, options: PaintOptions) -> str:
    return f"  (in strips{', statistics estimated' if options.estimate else ''})" if painted.strips else ""


def check_streams(photos: list[str], output: str, format: str | None, as_json: bool) -> None:
    """Raise `MultistyleError` for options that do not go with standard input or output, or with each other."""
    if format is not None and output != STREAM:
        raise MultistyleError("--format is for -o -; the suffix of a file's name chooses its format")
    if format is not None:
        check_format(format)
    if output == STREAM:
        if as_json:
            raise MultistyleError("--json and -o - both write to standard output; give -o a file")
        if len(photos) > 1:
            raise MultistyleError(f"standard output takes one painting, not {len(photos)}; give -o a folder")
        if sys.stdout is not None and sys.stdout.isatty():
            raise MultistyleError("standard output is a terminal; redirect it to a file or a program")
    if STREAM in photos and sys.stdin is not None and sys.stdin.isatty():
        raise MultistyleError("standard input is a terminal; redirect a picture to it")


def check_format(format: str) -> None:
    from ..image import WRITABLE

    if f".{format.lower()}" not in WRITABLE:
        known = ", ".join(sorted(suffix[1:] for suffix in WRITABLE))
        raise MultistyleError(f"unknown format {format!r}; use one of {known}")


def standard_input() -> BinaryIO:
    """What standard input holds, as a file with a name for errors."""
    return NamedBytes(sys.stdin.buffer.read(), "standard input")


def paint_one(
    stylizer: Stylizer,
    source: Path | BinaryIO,
    name: str,
    target: Path | None,
    options: PaintOptions,
    format: str | None,
) -> Painted:
    """Paint the picture `source` into the file `target`, or in `format` to standard output; shows progress."""
    from ..image import encode_picture, own_suffix
    from ..painting import load_picture
    from ..stylizer import paint_file

    with showing(name) as show:
        if target is not None:
            return paint_file(stylizer, source, target, options, show)
        painted = stylizer.paint_picture(load_picture(source, options), options, show)
    suffix = own_suffix(source) if format is None else f".{format}"
    if not send(encode_picture(suffix, painted.picture, name="standard output")):
        raise MultistyleError("cannot write standard output: the painting is not complete")
    return painted
