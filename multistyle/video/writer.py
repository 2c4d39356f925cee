"""Painted frames and packets of sound -> video file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ..errors import MultistyleError
from .reader import Film, failing_as, load_av

if TYPE_CHECKING:
    from av.container import OutputContainer

H264 = ("libx264", {"crf": "18"})  # strokes are edges everywhere: at the usual 23 they show blocks
ENCODERS = {suffix: H264 for suffix in (".mp4", ".m4v", ".mov", ".mkv")}
ENCODERS[".webm"] = ("libvpx-vp9", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"})


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
