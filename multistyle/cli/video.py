"""The command `video`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..messages import say, tell
from ..stopping import stop_signals
from .options import LookOptions, Mix, ModelOptions, command, input_files, prepare
from .running import FAILURE, INTERRUPTED, USAGE, failing_with, showing


@command
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Video to paint.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .mp4, .m4v, .mov, .mkv or .webm.")],
    model: ModelOptions,
    look: LookOptions,
    mix: Mix = None,
    to: Annotated[
        str | None, typer.Option(help="Mix of the last frame; the mix changes evenly over the video.", metavar="MIX")
    ] = None,
) -> None:
    """Paint a video steadily, with its sound: multistyle video in.mp4 out.mp4 --mix starry --to scream"""
    from ..blend import mix_text
    from ..video.paint import VideoInterrupted, check_video_paths, paint_video

    with failing_with(USAGE):
        check_video_paths(source, target, input_files(model, look))
    first = [mix] if mix is not None else []
    stylizer, options = prepare(model, look, [*first, *([to] if to is not None else [])])
    options = replace(options, blend=mix)
    ends = [stylizer.blend(blend, look.strength) for blend in (mix, to)[: 1 + (to is not None)]]
    tell("mix " + " -> ".join(mix_text(blend, stylizer.names) for blend in ends))
    with failing_with(FAILURE), stop_signals() as stop, showing(str(source)) as show:

        def progress(done: int, total: int | None) -> None:
            show(done, total)
            if stop:
                raise KeyboardInterrupt

        try:
            painted = paint_video(stylizer, source, target, options, to, progress)
        except VideoInterrupted as interrupt:
            say(str(interrupt))
            raise typer.Exit(INTERRUPTED) from interrupt
    for note in painted.notes:
        say(f"{source}: {note}")
    tell(f"{target}  {painted.frames} frames")
