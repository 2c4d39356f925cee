"""The command: options, progress and messages. Nothing here computes; torch is imported when work begins."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import MultistyleError

if TYPE_CHECKING:
    from torch import Tensor

    from .stylize import Stylizer

USAGE, FAILURE = 2, 1  # exit codes: wrong usage, found before any work; and what failed while working

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

Weights = Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.", metavar="FILE")]


def main() -> None:
    """Run the command. (Typer ends it with exit code 130 on an interrupt.)"""
    app(prog_name="multistyle")


@app.callback()
def multistyle() -> None:
    """Paint photos in any mix of painters, with one network."""


@app.command()
def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Pictures to paint.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File to write; or a folder (NAME/), made if missing.")
    ],
    mix: Annotated[
        str | None, typer.Option(help="Styles and weights in any scale; default: the first painter.", metavar="MIX")
    ] = None,
    strength: Annotated[float, typer.Option(help="0 is the photo as it is, 1 the full effect.")] = 1.0,
    size: Annotated[int | None, typer.Option(help="Longer side of the painting in pixels; default: as it is.")] = None,
    weights: Weights = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
) -> None:
    """Paint each PHOTO: multistyle stylize photo.jpg -o out.png --mix starry=0.7,scream=0.3"""
    from .blend import describe

    with failing_with(USAGE):
        if size is not None and size < 1:
            raise MultistyleError(f"a size is at least 1 pixel, not {size}")
    stylizer, blend = prepare(weights, device, precision, mix, strength)
    with failing_with(USAGE):
        jobs = plan(photos, output)
    print(f"mix {describe(blend, stylizer.names)}", flush=True)
    failures = []
    for photo, target in with_progress(jobs):
        try:
            paint(stylizer, blend, photo, target, size)
        except MultistyleError as error:
            failures.append(str(error))
    for failure in failures:
        say(f"error: {failure}")
    if failures:
        if len(jobs) > 1:
            say(f"{len(jobs) - len(failures)} of {len(jobs)} painted")
        raise typer.Exit(FAILURE)


@app.command()
def styles(
    weights: Weights = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the styles of a weight file: name, artist, title, year."""
    from .weights import load_weights

    with failing_with(FAILURE):
        catalogue = load_weights(weights).catalogue
    if as_json:
        fields = ("name", "artist", "title", "year")
        print(json.dumps([{field: getattr(style, field) for field in fields} for style in catalogue], ensure_ascii=False, indent=2))
        return
    names, artists = (max(len(getattr(style, field)) for style in catalogue) for field in ("name", "artist"))
    for style in catalogue:
        year = f", {style.year}" if style.year else ""
        print(f"{style.name:{names}}  {style.artist:{artists}}  {style.title}{year}".rstrip())


def prepare(weights: Path | None, device: str, precision: str, mix: str | None, strength: float) -> tuple[Stylizer, Tensor]:
    """The stylizer and the blend (S,) that the options ask for; what is wrong with them ends the command."""
    from .blend import parse_mix
    from .device import choose_device, choose_precision
    from .stylize import Stylizer
    from .weights import load_weights

    with failing_with(USAGE):
        choose_precision(precision, choose_device(device))
        parsed = parse_mix(mix) if mix is not None else None
    with failing_with(FAILURE):
        stylizer = Stylizer(load_weights(weights), device, precision)
    with failing_with(USAGE):
        return stylizer, stylizer.blend(parsed, strength)


def plan(photos: list[Path], output: str) -> list[tuple[Path, Path]]:
    """Which photo goes to which file. Raises `MultistyleError` for outputs that cannot be, or that clash."""
    from .image import WRITABLE, check_output

    into_folder = output.endswith("/") or len(photos) > 1 or Path(output).is_dir()
    if not into_folder:
        jobs = [(photos[0], Path(output))]
    else:
        folder = Path(output)
        if folder.exists() and not folder.is_dir():
            raise MultistyleError(f"several photos need a folder to go to, and {output} is a file; give OUT as NAME/")
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [(photo, folder / (photo.name if photo.suffix.lower() in WRITABLE else f"{photo.stem}.png")) for photo in photos]
    taken: dict[Path, Path] = {}
    for photo, target in jobs:
        check_output(target)
        if target.resolve() == photo.resolve():
            raise MultistyleError(f"{target} is the photo itself; choose another output")
        if target in taken:
            raise MultistyleError(f"{taken[target]} and {photo} would both be written to {target}; rename one")
        taken[target] = photo
    return jobs


def paint(stylizer: Stylizer, blend: Tensor, photo: Path, target: Path, size: int | None) -> None:
    """Read, resize, paint and write one picture. Raises `MultistyleError`."""
    from .image import read_picture, resize_image, write_image

    image, alpha = read_picture(photo)
    if size is not None:
        image = resize_image(image, size)
        alpha = None if alpha is None else resize_image(alpha, size)
    write_image(target, stylizer(image, blend), alpha)
    print(f"{target}  {image.shape[2]} x {image.shape[1]}", flush=True)


def with_progress(jobs: list[tuple[Path, Path]]) -> Iterator[tuple[Path, Path]]:
    """Go through the jobs, with a line of progress on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(jobs))
        for job in jobs:
            progress.update(task, description=str(job[0]))
            yield job
            progress.advance(task)


@contextmanager
def failing_with(code: int) -> Iterator[None]:
    """Turn a `MultistyleError` inside into its one line on standard error and the exit code."""
    try:
        yield
    except MultistyleError as error:
        say(f"error: {error}")
        raise typer.Exit(code) from error


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
