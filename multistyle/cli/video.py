"""The command `video`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..messages import tell
from .options import LookOptions, Mix, ModelOptions, command, prepare
from .running import FAILURE, USAGE, failing_with, showing


@command
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Video to paint.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .mp4, .m4v, .mov, .mkv or .webm.")],
    model: ModelOptions,
    look: LookOptions,
    mix: Mix = None,
    to: Annotated[str | None, typer.Option(help="Mix to move to, evenly over the video.", metavar="MIX")] = None,
) -> None:
    """Paint a video steadily, its sound kept: multistyle video in.mp4 out.mp4 --mix starry --to scream"""
    from ..blend import mix_text
    from ..video.paint import check_video_paths, paint_video

    with failing_with(USAGE):
        check_video_paths(source, target)
    first = [mix] if mix is not None else []
    stylizer, options = prepare(model, look, [*first, *([to] if to is not None else [])])
    options = replace(options, blend=mix)
    ends = [stylizer.blend(blend, look.strength) for blend in (mix, to)[: 1 + (to is not None)]]
    tell("mix " + " -> ".join(mix_text(blend, stylizer.names) for blend in ends))
    with failing_with(FAILURE), showing(str(source)) as show:
        frames = paint_video(source, target, stylizer, options.blend, to, look.strength, look.size, show)
    tell(f"{target}  {frames} frames")
