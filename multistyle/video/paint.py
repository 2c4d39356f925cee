"""Paint a video file: frame by frame, in the memory of a few frames, with its sound.

Frames keep their times and durations, and so the frame rate, whether constant or not. A rotation stored in the file is
applied to the frames. Sound is copied, or encoded again if the new file cannot hold it. Title, date, place and
languages are kept, unless the options leave out metadata. Subtitles and chapters are dropped, transparent parts become
white, and HDR is read as ordinary video, without tone mapping. Needs PyAV: pip install 'multistyle[video]'.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..blend import Blend, Regions
from ..errors import MultistyleError
from ..files import atomic_write, check_place, remove_stale
from ..image import resize_image
from ..messages import Progress, no_progress
from ..one_pass import fit_field
from ..painting import PaintOptions, fit_to_picture, keep_colors_by_rows
from ..pixels import as_float
from ..stylizer import Stylizer
from .reader import Frame, VideoReader, last_frame_time, load_av
from .steady import Steady
from .writer import FORMATS, VideoWriter


class PaintedVideo(NamedTuple):
    """What `paint_video` did: the number of frames, and one line for everything that was changed or left out."""

    frames: int
    notes: list[str]


class VideoInterrupted(KeyboardInterrupt):
    """An interrupt while a video was painted, with a text of one line. fragment: the partial file, or None."""

    def __init__(self, frames: int, fragment: Path | None) -> None:
        kept = f"the first {frames} frames are in {fragment}" if fragment else "not one frame was painted"
        super().__init__(f"interrupted; {kept}")
        self.frames, self.fragment = frames, fragment


def paint_video(
    stylizer: Stylizer,
    source: str | Path,
    target: str | Path,
    options: PaintOptions = PaintOptions(),
    to: Blend | None = None,
    progress: Progress = no_progress,
) -> PaintedVideo:
    """Paint the video `source` into the file `target`, steadily (see `Steady`).

    options: how each frame is painted, without strips. Masks and blend fields are fitted to the frame. An odd height or
    width gets one more row or column.
    to: the blend of the last frame; the blend changes evenly from first to last. Regions keep their blends.
    progress: counts frames.

    The suffix of the target chooses the format: H.264 in .mp4, .m4v, .mov and .mkv, VP9 in .webm. The file appears
    under its name when it is finished; an older file stays until then. After an interrupt (KeyboardInterrupt), the
    frames painted so far are kept beside it, as NAME.partial.SUFFIX, and `VideoInterrupted` is raised.

    Raises `MultistyleError` if the source is not a video or the target cannot be written; for a damaged or truncated
    video, after writing what could be read; and as `paint_picture` does, leaving no file.
    """
    source, target = Path(source), Path(target)
    check_video_paths(source, target)
    paint = frame_painter(stylizer, options, to, last_frame_time(source) if to is not None else 0.0)
    remove_stale(os.path.dirname(os.path.realpath(target)))
    with VideoReader(source) as reader, atomic_write(target) as temporary:
        tags = (reader.metadata, reader.stream.metadata, options.keep_metadata)
        writer = VideoWriter(temporary, target, reader.rate, reader.time_base, reader.sounds, *tags)
        frames = 0
        try:
            for frame in reader:
                writer.write(paint(frame), frame.ticks, frame.duration, reader.take_sound(), frame.aspect)
                frames += 1
                progress(frames, reader.total and max(reader.total, frames))
            if not frames:
                raise MultistyleError(f"{source} is damaged; not one frame can be read")
            writer.finish(reader.take_sound())
        except KeyboardInterrupt as interrupt:
            fragment = _keep_fragment(writer, temporary, target) if frames else None
            raise VideoInterrupted(frames, fragment) from interrupt
        finally:
            writer.discard()
    if reader.damaged:
        kept = f"{frames} frames could be read and are in {target}"
        raise MultistyleError(f"{source} is damaged or cut short; {kept}")
    return PaintedVideo(frames, reader.notes + writer.notes)


def frame_painter(
    stylizer: Stylizer, options: PaintOptions, to: Blend | None = None, last: float = 0.0
) -> Callable[[Frame], Tensor]:
    """Make a function that paints one frame after the other: `Frame` to (3, H, W) in [0, 1].

    options, to: as in `paint_video`.
    last: when the last frame begins, in s; needed if the blend changes.

    Raises as `PaintOptions.resolve` does, and `MultistyleError` for options that are not for frames.
    """
    if (options.strips, options.estimate) != (PaintOptions.strips, PaintOptions.estimate):
        raise MultistyleError("frames of a video are not painted in strips; leave out strips and estimate")
    one_pass, steady = stylizer.one_pass, Steady(stylizer)
    start = options.resolve(one_pass)
    end = start if to is None else replace(options, blend=to).resolve(one_pass)

    @lru_cache(maxsize=1)  # without `to`, all frames have the same
    def fitted(height: int, width: int, share: float) -> tuple[Tensor, float | Tensor]:
        blend = blend_between(start, end, share)
        return fit_to_picture(one_pass, blend, options.depth(blend, height, width), height, width)

    @torch.no_grad()
    def paint(frame: Frame) -> Tensor:
        image = as_float(torch.from_numpy(frame.pixels).to(stylizer.device).permute(2, 0, 1))
        image = image if options.size is None else resize_image(image, options.size)
        share = min(1.0, frame.time / last) if last > 0 else 0.0
        painted = steady.paint(image, *fitted(*image.shape[1:], share), frame.time)
        if options.keep_colors:
            keep_colors_by_rows(painted, image)
        return painted

    return paint


def blend_between(start: Tensor | Regions, end: Tensor | Regions, share: float) -> Tensor | Regions:
    """The blend that is `share` of the way from `start` to `end`, both from `PaintOptions.resolve`.

    Regions are those of `start`; only the blend outside them changes. A field and a single blend, or fields of two
    sizes, give a field.
    """
    if isinstance(start, Regions) or isinstance(end, Regions):
        assert isinstance(start, Regions) and isinstance(end, Regions), "both come from the same options"
        return replace(start, rest=torch.lerp(start.rest, end.rest, share))
    if start.shape != end.shape:
        fields = [blend if blend.ndim == 3 else blend[:, None, None] for blend in (start, end)]
        size = [max(sides) for sides in zip(*(field.shape[1:] for field in fields), strict=True)]
        start, end = (fit_field(field, *size) for field in fields)
    return torch.lerp(start, end, share)


def check_video_paths(source: str | Path, target: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise `MultistyleError` unless PyAV is installed and `target` can be written.

    inputs: other files that are read; they must not be replaced.
    """
    load_av()
    if Path(target).suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise MultistyleError(f"cannot tell the format of {target}; its name should end in one of {known}")
    check_place(target, inputs=[source, *inputs])


def _keep_fragment(writer: VideoWriter, temporary: Path, target: Path) -> Path:
    """Finish the file of `writer` under a name that marks it as partial; returns that name."""
    writer.finish()
    target = Path(os.path.realpath(target))  # where the temporary file is
    stem = os.fsdecode(os.fsencode(target.stem)[:200])  # file names have a limited length
    names = (f"{stem}.partial{number}{target.suffix}" for number in ["", *range(2, 10**6)])
    fragment = next(path for path in map(target.with_name, names) if not os.path.lexists(path))
    temporary.replace(fragment)
    return fragment
