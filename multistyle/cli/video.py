"""The command `video`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..messages import tell
from .options import (
    FAILURE,
    USAGE,
    Compile,
    Device,
    Mix,
    Precision,
    Size,
    Strength,
    Weights,
    check_size,
    failing_with,
    prepare,
    progress_bar,
)


def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Video to paint.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .mp4, .m4v, .mov, .mkv or .webm.")],
    mix: Mix = None,
    to: Annotated[str | None, typer.Option(help="Mix to move to, evenly over the video.", metavar="MIX")] = None,
    strength: Strength = 1.0,
    size: Size = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Precision = "auto",
    compile: Compile = False,
) -> None:
    """Paint a video steadily, its sound kept: multistyle video in.mp4 out.mp4 --mix starry --to scream"""
    from ..blend import describe
    from ..video.paint import check_video_paths, paint_video

    with failing_with(USAGE):
        check_size(size)
        check_video_paths(source, target)
    stylizer, blends = prepare(weights, device, precision, [mix for mix in (mix, to) if mix is not None], compile)
    with failing_with(USAGE):
        start = stylizer.blend(blends[0] if mix is not None else None, strength)
        end = stylizer.blend(blends[-1], strength) if to is not None else None
    ends = [start] if end is None else [start, end]
    tell("mix " + " -> ".join(describe(blend, stylizer.names) for blend in ends))
    with failing_with(FAILURE), progress_bar() as bar:
        task = bar.add_task(str(source), total=None)

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        frames = paint_video(source, target, stylizer, start, end, size=size, progress=progress)
    tell(f"{target}  {frames} frames")
