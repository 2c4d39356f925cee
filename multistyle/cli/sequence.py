"""The command `sequence`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MultistyleError
from ..messages import tell
from .options import LookOptions, ModelOptions, StripOptions, command, input_files, prepare
from .running import FAILURE, USAGE, counted, failing_with


@command
def sequence(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Picture to paint.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="A .gif, a .mp4, or a new folder (NAME/) for PNGs.")],
    start: Annotated[str, typer.Option("--from", metavar="MIX", help="Mix of the first frame.")],
    end: Annotated[str, typer.Option("--to", metavar="MIX", help="Mix of the last frame.")],
    frames: Annotated[int, typer.Option(metavar="N", help="Number of frames; files play 20 a second.")],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    via: Annotated[list[str], typer.Option(metavar="MIX", help="Mix on the way from first to last; repeatable.")] = [],
) -> None:
    """Paint PHOTO from mix to mix: multistyle sequence photo.jpg out.gif --from starry --to scream --frames 60"""
    import torch

    from ..painting import load_picture
    from ..sequence import blend_path, check_room, check_sequence, paint_sequence, write_sequence

    with failing_with(USAGE):
        if frames < 1:
            raise MultistyleError(f"a sequence has at least 1 frame, not {frames}")
        if not output:
            raise MultistyleError("the name of the output is empty")
        check_sequence(output, [photo, *input_files(model, look)])
    stylizer, options = prepare(model, look, [start, *via, end], strips)
    with failing_with(FAILURE):
        picture = load_picture(photo, options)
        check_room(output, frames, *picture.image.shape[1:])
        corners = torch.stack([stylizer.blend(mix) for mix in (start, *via, end)])
        painted = paint_sequence(stylizer, picture, blend_path(corners, frames), options)
        write_sequence(output, counted(painted, frames, output), picture.alpha)
    tell(f"{output}  {picture.image.shape[2]} x {picture.image.shape[1]}, {frames} frames")
