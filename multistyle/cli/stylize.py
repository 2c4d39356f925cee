"""The command `stylize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MultistyleError
from ..messages import tell
from .options import LookOptions, Mix, ModelOptions, StripOptions, command, prepare
from .running import USAGE, failing_with, report, showing


@command
def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Pictures to paint.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File to write; or a folder (NAME/), made if missing.")
    ],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    mix: Mix = None,
) -> None:
    """Paint each PHOTO: multistyle stylize photo.jpg -o out.png --mix starry=0.7,scream=0.3"""
    from ..blend import mix_text
    from ..stylizer import paint_file

    stylizer, options = prepare(model, look, [mix] if mix is not None else [], strips)
    with failing_with(USAGE):
        jobs = plan(photos, output)
    tell(f"mix {mix_text(stylizer.blend(options.blend, options.strength), stylizer.names)}")
    failures = []
    for photo, target in jobs:
        try:
            with showing(str(photo)) as show:
                painted = paint_file(stylizer, photo, target, options, show)
            height, width = painted.picture.image.shape[1:]
            estimated = ", statistics estimated" if options.estimate else ""
            tell(f"{target}  {width} x {height}{f'  (in strips{estimated})' if painted.strips else ''}")
        except MultistyleError as error:
            failures.append(str(error))
    report(failures, len(jobs))


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
