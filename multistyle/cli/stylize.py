"""The command `stylize`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..errors import MultistyleError, as_line
from ..messages import say, tell
from .options import LookOptions, Mix, ModelOptions, StripOptions, command, input_files, prepare
from .running import USAGE, failing_with, report, showing


@command
def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Pictures to paint.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT", help="File to write; or a folder (NAME/), created if missing."),
    ],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    mix: Mix = None,
) -> None:
    """Paint each PHOTO: multistyle stylize photo.jpg -o out.png --mix starry=0.7,scream=0.3"""
    from ..blend import mix_text
    from ..image import frames
    from ..stylizer import paint_file

    stylizer, options = prepare(model, look, [mix] if mix is not None else [], strips)
    with failing_with(USAGE):
        jobs = plan(photos, output, input_files(model, look))
    tell(f"mix {mix_text(stylizer.blend(options.blend, options.strength), stylizer.names)}")
    failures = []
    for photo, target in jobs:
        try:
            with showing(str(photo)) as show:
                painted = paint_file(stylizer, photo, target, options, show)
            height, width = painted.picture.image.shape[1:]
            estimated = ", statistics estimated" if options.estimate else ""
            tell(f"{target}  {width} x {height}{f'  (in strips{estimated})' if painted.strips else ''}")
            if (count := frames(photo)) > 1:
                say(f"{photo} is an animation: the first of its {count} frames is painted; multistyle video paints all")
        except Exception as error:  # any error is a failure of this photo alone; the others are painted
            line = as_line(error, f"cannot paint {photo}")
            named = str(photo) in line or str(target) in line
            failures.append(line if named else f"cannot paint {photo}: {line}")
    report(failures, len(jobs))


def plan(photos: list[Path], output: str, inputs: Sequence[Path] = ()) -> list[tuple[Path, Path]]:
    """Decide which photo goes to which file; creates the output folder.

    inputs: other files that are read. Raises `MultistyleError` for outputs that are invalid, clash, or are inputs.
    """
    from ..files import check_not_inputs
    from ..folder_plan import PICTURES, painting_names
    from ..image import check_output

    if not output:
        raise MultistyleError("the name of the output is empty")
    for photo in photos:
        if not photo.name:
            raise MultistyleError(f"{photo} is a folder, not a picture")
    folder = Path(output)
    if output.endswith(("/", os.sep)) or len(photos) > 1 or os.path.isdir(folder):
        if not os.path.isdir(folder) and not output.endswith(("/", os.sep)) and folder.suffix.lower() in PICTURES:
            raise MultistyleError(
                f"{len(photos)} photos need a folder to go to, and {output} names a picture; give NAME/"
            )
        check_names(photos, folder)
        make_folder(folder)
        jobs = list(zip(photos, [folder / name for name in painting_names([Path(photo.name) for photo in photos])]))
    else:
        jobs = [(photos[0], folder)]
    for _, target in jobs:
        check_output(target)
    check_not_inputs([target for _, target in jobs], [*photos, *inputs])
    return jobs


def check_names(photos: list[Path], folder: Path) -> None:
    """Raise `MultistyleError` if two photos have the same name."""
    taken: dict[str, Path] = {}
    for photo in photos:
        if photo.name in taken:
            first = taken[photo.name]
            raise MultistyleError(f"{first} and {photo} would both be written to {folder / photo.name}; rename one")
        taken[photo.name] = photo


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise MultistyleError(f"cannot make the folder {folder}: {reason}") from error
