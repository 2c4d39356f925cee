"""The commands `sequence` and `sheet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MultistyleError
from ..messages import tell
from .options import (
    FAILURE,
    USAGE,
    Compile,
    Device,
    Precision,
    Size,
    Weights,
    check_size,
    failing_with,
    prepare,
    progress_bar,
)

if TYPE_CHECKING:
    from torch import Tensor


def sequence(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Picture to paint.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="A .gif, a .mp4, or a new folder (NAME/) for PNGs.")],
    start: Annotated[str, typer.Option("--from", metavar="MIX", help="Mix of the first frame.")],
    end: Annotated[str, typer.Option("--to", metavar="MIX", help="Mix of the last frame.")],
    frames: Annotated[int, typer.Option(metavar="N", help="How many; files play 20 a second.")],
    via: Annotated[list[str], typer.Option(metavar="MIX", help="Mix to pass on the way; repeatable.")] = [],
    size: Size = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
    compile: Compile = False,
) -> None:
    """Paint PHOTO from mix to mix: multistyle sequence photo.jpg out.gif --from starry --to scream --frames 60"""
    import torch

    from ..sequence import blend_path, check_sequence, paint_sequence, write_sequence

    with failing_with(USAGE):
        check_size(size)
        if frames < 1:
            raise MultistyleError(f"a sequence has at least 1 frame, not {frames}")
        check_not_photo(photo, output)
        check_sequence(output)
    stylizer, corners = prepare(weights, device, precision, [start, *via, end], compile)
    with failing_with(FAILURE):
        image = read(photo, size)
        painted = paint_sequence(stylizer, image, blend_path(torch.stack(corners), frames))
        write_sequence(output, shown(painted, frames, output))
    tell(f"{output}  {image.shape[2]} x {image.shape[1]}, {frames} frames")


def sheet(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Picture to paint.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Picture to write.")],
    styles: Annotated[str | None, typer.Option(metavar="A,B,...", help="Styles to show; default: all.")] = None,
    corners: Annotated[
        list[str], typer.Option(metavar="MIX", help="Show the blends between two, three or four; repeat it for each.")
    ] = [],
    size: Annotated[int, typer.Option(help="Longer side of each painting in pixels.")] = 256,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Paint PHOTO in every style, or between corners, on one sheet: multistyle sheet photo.jpg sheet.png"""
    import torch

    from ..image import check_output, write_image
    from ..sheet import arrange_sheet, corner_sheet, paint_sheet, style_sheet

    with failing_with(USAGE):
        check_size(size)
        if styles is not None and corners:
            raise MultistyleError("a sheet is of --styles or of --corners; leave one out")
        check_not_photo(photo, output)
        check_output(output)
    stylizer, blends = prepare(weights, device, precision, corners)
    with failing_with(USAGE):
        if blends:
            cells = corner_sheet(stylizer, torch.stack(blends))
        else:
            cells = style_sheet(stylizer, None if styles is None else [name.strip() for name in styles.split(",")])
    with failing_with(FAILURE):
        count = sum(map(len, cells))
        page = arrange_sheet(cells, shown(paint_sheet(stylizer, read(photo, size), cells), count, str(output)))
        write_image(output, page)
    tell(f"{output}  {page.shape[2]} x {page.shape[1]}, {count} paintings")


def check_not_photo(photo: Path, output: str | Path) -> None:
    """Raise `MultistyleError` where the output would replace the photo."""
    if Path(output).resolve() == photo.resolve():
        raise MultistyleError(f"{output} is the photo itself; choose another output")


def read(photo: Path, size: int | None) -> Tensor:
    """The photo (3, H, W), its longer side made `size` px where that is given. Raises `ImageError`."""
    from ..image import read_image, resize_image

    image = read_image(photo)
    return image if size is None else resize_image(image, size)


def shown(pictures: Iterable[Tensor], total: int, name: str) -> Iterator[Tensor]:
    """The pictures as they come, with progress."""
    with progress_bar() as bar:
        task = bar.add_task(name, total=total)
        for picture in pictures:
            yield picture
            bar.update(task, advance=1, description=f"{name}  {bar.tasks[0].speed or 0:.1f}/s")
