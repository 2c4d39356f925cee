"""The command `sheet`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import MultistyleError
from ..messages import tell
from .options import LookOptions, ModelOptions, StripOptions, command, input_files, prepare
from .running import FAILURE, USAGE, counted, failing_with

SIZE = 256  # px, of each painting by default


@command
def sheet(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Picture to paint.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Picture to write.")],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    styles: Annotated[str | None, typer.Option(metavar="A,B,...", help="Styles to show. Default: all.")] = None,
    corners: Annotated[
        list[str],
        typer.Option(metavar="MIX", help="Show the blends between two, three or four mixes; one --corners for each."),
    ] = [],
) -> None:
    """Paint PHOTO in every style, or between corners, on one sheet: multistyle sheet photo.jpg sheet.png

    Each painting is 256 pixels wide or high unless --size says otherwise.
    """
    import torch

    from ..image import check_output, write_image
    from ..painting import load_picture
    from ..sheet import arrange_sheet, corner_sheet, paint_sheet, style_sheet

    with failing_with(USAGE):
        if styles is not None and corners:
            raise MultistyleError("a sheet shows --styles or --corners; leave one out")
        check_output(output, [photo, *input_files(model, look)])
    stylizer, options = prepare(model, look, corners, strips)
    options = replace(options, size=options.size or SIZE)
    with failing_with(USAGE):
        if corners:
            cells = corner_sheet(stylizer, torch.stack([stylizer.blend(corner) for corner in corners]))
        else:
            cells = style_sheet(stylizer, None if styles is None else [name.strip() for name in styles.split(",")])
    with failing_with(FAILURE):
        count = sum(map(len, cells))
        painted = paint_sheet(stylizer, load_picture(photo, options), cells, options)
        page = arrange_sheet(cells, counted(painted, count, str(output)))
        write_image(output, page)
    tell(f"{output}  {page.shape[2]} x {page.shape[1]}, {count} paintings")
