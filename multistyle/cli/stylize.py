"""The commands `stylize` and `styles`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MultistyleError
from ..messages import tell
from .options import (
    FAILURE,
    USAGE,
    Device,
    KeepColors,
    Mix,
    Precision,
    Size,
    Strength,
    Weights,
    failing_with,
    prepare,
    progress_bar,
    report,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from torch import Tensor

    from ..blend import Regions
    from ..stylizer import Stylizer


def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Pictures to paint.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File to write; or a folder (NAME/), made if missing.")
    ],
    mix: Mix = None,
    style_file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A style that export-style wrote; repeatable. The first is the default."),
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(metavar="MASK.png=MIX", help="Paint where MASK is white in MIX; repeatable.")
    ] = None,
    strength: Strength = 1.0,
    size: Size = None,
    keep_colors: KeepColors = False,
    tile: Annotated[str, typer.Option(metavar="auto|off|PIXELS", help="Paint in strips, to save memory.")] = "auto",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="In strips: statistics of a reduced picture; faster, approximate.")
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Paint each PHOTO: multistyle stylize photo.jpg -o out.png --mix starry=0.7,scream=0.3"""
    from ..blend import describe
    from ..painting import Render, paint_file

    with failing_with(USAGE):
        masks = [split_region(text) for text in region or []]
    mixes = [mix] if mix is not None else []
    stylizer, blends = prepare(
        weights, device, precision, [*(text for _, text in masks), *mixes], style_files=style_file or []
    )
    with failing_with(USAGE):
        default = stylizer.blend(blends[-1] if mixes else None, strength)
        blend = region_blend(stylizer, [file for file, _ in masks], blends, default, strength)
        render = Render(blend, size, keep_colors, tile, estimate)
        jobs = plan(photos, output)
    tell(f"mix {describe(default, stylizer.names)}")
    failures = []
    with progress_bar() as bar:
        for photo, target in jobs:
            task = bar.add_task(str(photo), total=None)
            try:
                height, width = paint_file(stylizer, photo, target, render, partial(advance, bar, task))
                note = "  (statistics estimated)" if estimate and render.tiled(stylizer, height, width) else ""
                tell(f"{target}  {width} x {height}{note}")
            except MultistyleError as error:
                failures.append(str(error))
            bar.remove_task(task)
    report(failures, len(jobs))


def split_region(text: str) -> tuple[Path, str]:
    """MASK.png=MIX -> the mask's file and the mix. Raises `MultistyleError`."""
    mask, equals, mix = text.partition("=")
    if not (mask and equals and mix):
        raise MultistyleError(f"a region is MASK.png=MIX, like sky.png=starry, not {text!r}")
    return Path(mask), mix


def region_blend(
    stylizer: Stylizer, files: list[Path], blends: list[Tensor], default: Tensor, strength: float
) -> Tensor | Regions:
    """`default`, or the regions of the mask files with it as the rest. Raises `MultistyleError`."""
    from ..blend import Regions
    from ..painting import read_mask

    if not files:
        return default
    masks = [read_mask(file) for file in files]
    return Regions(masks, [stylizer.blend(blend, strength) for blend, _ in zip(blends, files)], default)


def advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


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
        tell(
            json.dumps(
                [{field: getattr(style, field) for field in fields} for style in catalogue],
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    names, artists = (max(len(getattr(style, field)) for style in catalogue) for field in ("name", "artist"))
    for style in catalogue:
        year = f", {style.year}" if style.year else ""
        tell(f"{style.name:{names}}  {style.artist:{artists}}  {style.title}{year}".rstrip())


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
        jobs = [
            (photo, folder / (photo.name if photo.suffix.lower() in WRITABLE else f"{photo.stem}.png"))
            for photo in photos
        ]
    taken: dict[Path, Path] = {}
    for photo, target in jobs:
        check_output(target)
        if target.resolve() == photo.resolve():
            raise MultistyleError(f"{target} is the photo itself; choose another output")
        if target in taken:
            raise MultistyleError(f"{taken[target]} and {photo} would both be written to {target}; rename one")
        taken[target] = photo
    return jobs
