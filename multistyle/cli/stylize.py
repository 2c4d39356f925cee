"""The commands `stylize` and `styles`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MultistyleError
from .common import FAILURE, USAGE, Device, Mix, Precision, Strength, Weights
from .common import check_size, failing_with, prepare, progress_bar, say

if TYPE_CHECKING:
    from torch import Tensor

    from ..stylize import Stylizer


def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Pictures to paint.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File to write; or a folder (NAME/), made if missing.")
    ],
    mix: Mix = None,
    strength: Strength = 1.0,
    size: Annotated[int | None, typer.Option(help="Longer side of the painting in pixels; default: as it is.")] = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Paint each PHOTO: multistyle stylize photo.jpg -o out.png --mix starry=0.7,scream=0.3"""
    from ..blend import describe

    with failing_with(USAGE):
        check_size(size)
    stylizer, blends = prepare(weights, device, precision, [mix] if mix is not None else [])
    with failing_with(USAGE):
        blend = stylizer.blend(blends[0] if blends else None, strength)
        jobs = plan(photos, output)
    print(f"mix {describe(blend, stylizer.names)}", flush=True)
    failures = []
    with progress_bar() as bar:
        task = bar.add_task("", total=len(jobs))
        for photo, target in jobs:
            bar.update(task, description=str(photo))
            try:
                paint(stylizer, blend, photo, target, size)
            except MultistyleError as error:
                failures.append(str(error))
            bar.advance(task)
    for failure in failures:
        say(f"error: {failure}")
    if failures:
        if len(jobs) > 1:
            say(f"{len(jobs) - len(failures)} of {len(jobs)} painted")
        raise typer.Exit(FAILURE)


def styles(
    weights: Weights = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the styles of a weight file: name, artist, title, year."""
    from ..weights import load_weights

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


def plan(photos: list[Path], output: str) -> list[tuple[Path, Path]]:
    """Which photo goes to which file. Raises `MultistyleError` for outputs that cannot be, or that clash."""
    from ..image import WRITABLE, check_output

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
    from ..image import read_picture, resize_image, write_image

    image, alpha = read_picture(photo)
    if size is not None:
        image = resize_image(image, size)
        alpha = None if alpha is None else resize_image(alpha, size)
    write_image(target, stylizer(image, blend), alpha)
    print(f"{target}  {image.shape[2]} x {image.shape[1]}", flush=True)
