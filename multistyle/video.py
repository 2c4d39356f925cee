"""Video file + blend -> painted video file: frame by frame, in the memory of a few frames, with its sound.

Frames keep their times, and so the frame rate, constant or not; a rotation in the file is carried out on the frames,
and the painted file has none. Sound is copied as it is. Subtitles, chapters and transparency are left out; HDR is taken
for ordinary video, without tone mapping. Needs PyAV: pip install 'multistyle[video]'.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .atomic import check_place
from .blend import Blend
from .errors import MultistyleError
from .film import Film, failing_as, load_av
from .image import resize_image
from .steady import Steady
from .stylize import Stylizer

if TYPE_CHECKING:
    from av.container import OutputContainer

H264 = ("libx264", {"crf": "18"})  # strokes are edges everywhere: at the usual 23 they show blocks
ENCODERS = {suffix: H264 for suffix in (".mp4", ".m4v", ".mov", ".mkv")}
ENCODERS[".webm"] = ("libvpx-vp9", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"})

Progress = Callable[[int, int | None], None]  # (frames done, frames in all if known)


def paint_video(
    source: str | Path,
    target: str | Path,
    stylizer: Stylizer,
    blend: Blend | None = None,
    to: Blend | None = None,
    strength: float = 1.0,
    size: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Paint the video `source` into the file `target`, steadily (see `Steady`); the number of frames painted.

    blend, strength: as in `Stylizer.__call__`, one blend (S,); to: the blend to move to, evenly from the first frame
    to the last. size: of the longer side in px, None: as it is; an odd last row or column is cut off, for the encoders
    take even sizes only. progress: called after every frame.

    The format is that of the target's suffix: H.264 in .mp4, .m4v, .mov and .mkv, VP9 in .webm. The file appears under
    its name when it is finished. An interrupt (KeyboardInterrupt) finishes it with the frames painted so far, and is
    raised again. Raises `MultistyleError` for what is no video, cannot be written or does not go together; for a
    damaged or truncated video after the file was finished with what could be read; and as `Stylizer.__call__` does,
    leaving no file.
    """
    source, target = Path(source), Path(target)
    check_video_paths(source, target)
    start = stylizer.blend(blend, strength)
    end = start if to is None else stylizer.blend(to, strength)
    with Film(source) as film:
        if to is not None and not film.length:
            raise MultistyleError(f"{source} does not say how long it is, so that no blend can move over its length")
        writer, steady = Writer(film, target), Steady(stylizer)
        try:
            for frame in film:
                image = torch.from_numpy(frame).to(stylizer.device).permute(2, 0, 1).float() / 255
                image = image if size is None else resize_image(image, size)
                share = min(1.0, film.time / film.last) if film.last > 0 else 0.0
                writer.write(steady(image, torch.lerp(start, end, share), time=film.time))
                if progress is not None:
                    progress(film.frames, film.total)
        except KeyboardInterrupt:
            writer.finish()
            raise
        else:
            writer.finish()
        finally:
            writer.discard()
        if not film.frames:
            raise MultistyleError(f"{source} is damaged; not one frame can be read")
        if film.damaged:
            kept = f"{film.frames} frames could be read and are in {target}"
            raise MultistyleError(f"{source} is damaged or cut short; {kept}")
        return film.frames


def check_video_paths(source: Path, target: Path) -> None:
    """Raise `MultistyleError` unless PyAV is there and `target` can become the painted `source`."""
    load_av()
    if target.suffix.lower() not in ENCODERS:
        known = ", ".join(ENCODERS)
        raise MultistyleError(f"cannot tell the format of {target}; its name should end in one of {known}")
    check_place(target)
    if target.resolve() == source.resolve() or (target.exists() and source.exists() and target.samefile(source)):
        raise MultistyleError(f"{target} is the video itself; choose another output")


class Writer:
    """The painted `film`: a file under a temporary name, begun with the first frame and renamed by `finish`."""

    def __init__(self, film: Film, target: Path) -> None:
        self.film, self.target = film, target
        self.temporary = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
        self.container: OutputContainer | None = None

    def write(self, painted: Tensor) -> None:
        """Add `painted` (3, H, W) in [0, 1] at the film's present time, and the sound read so far."""
        from av import VideoFrame
        from av.video.reformatter import ColorRange, Colorspace

        array = painted.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
        if self.container is None:
            self._begin(*(side - side % 2 for side in array.shape[:2]))
        even = np.ascontiguousarray(array[: array.shape[0] // 2 * 2, : array.shape[1] // 2 * 2])
        frame = VideoFrame.from_ndarray(even, format="rgb24").reformat(
            width=self.stream.width,
            height=self.stream.height,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = self.film.ticks, self.film.time_base
        with failing_as(f"cannot write {self.target}"):
            self.container.mux(self.stream.encode(frame))
            self._copy_sound()

    def _begin(self, height: int, width: int) -> None:
        if height == 0 or width == 0:
            raise MultistyleError(f"a video is at least 2 x 2 pixels, and {self.target} would be smaller")
        codec, options = ENCODERS[self.target.suffix.lower()]
        with failing_as(f"cannot write {self.target}"):
            self.container = load_av().open(str(self.temporary), "w")
            self.stream = self.container.add_stream(codec, rate=self.film.rate, options=options)
            self.stream.width, self.stream.height, self.stream.pix_fmt = width, height, "yuv420p"
            context = self.stream.codec_context
            context.time_base = self.film.time_base
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1  # BT.709, video
            if self.film.aspect:
                context.sample_aspect_ratio = self.film.aspect
        kinds = ", ".join(sound.codec_context.name for sound in self.film.sounds)
        with failing_as(f"the sound of the video ({kinds or 'none'}) does not go into {self.target.suffix}; try .mkv"):
            self.sounds = {s.index: self.container.add_stream_from_template(s) for s in self.film.sounds}
            self.container.start_encoding()

    def _copy_sound(self) -> None:
        for packet in self.film.sound:
            if packet.dts is not None:  # the reader's last packets are empty
                packet.stream = self.sounds[packet.stream.index]
                self.container.mux(packet)
        self.film.sound.clear()

    def finish(self) -> None:
        """Complete the file and give it its name; nothing where no frame was written."""
        if self.container is None:
            return
        with failing_as(f"cannot write {self.target}"):
            self._copy_sound()
            self.container.mux(self.stream.encode(None))
            self.container.close()
            self.temporary.replace(self.target)

    def discard(self) -> None:
        """Remove what is unfinished; nothing after `finish`."""
        if self.container is not None:
            self.container.close()
        self.temporary.unlink(missing_ok=True)
