"""Write frames and packets of sound to a video file: the one place where video is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import torch.nn.functional as F
from torch import Tensor

from ..errors import MultistyleError
from ..pixels import as_bytes
from .reader import failing_as, load_av
from .sound import SoundTrack, kept_tags

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import OutputContainer

# A painting is full of edges, which show blocks at the usual crf of 23. Without frames that are stored out of order
# (bf), the last frame can have any duration in every container.
H264: tuple[Literal["libx264"], dict[str, str]] = ("libx264", {"crf": "18", "bf": "0"})
VP9: tuple[Literal["libvpx-vp9"], dict[str, str]] = (
    "libvpx-vp9",
    {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"},
)
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}  # suffix -> FFmpeg's name
PLACES = {"LOCATION", "LOCATION-ENG", "COM.APPLE.QUICKTIME.LOCATION.ISO6709"}  # tags in which phones store the place
BRANDS = {"MAJOR_BRAND", "MINOR_VERSION", "COMPATIBLE_BRANDS"}


class VideoWriter:
    """A video file being written: H.264 in MP4, MOV and MKV, VP9 in WebM.

    path: the file to write, usually a temporary one; or a binary file that can seek, without sound.
    target: its final name, for errors; its suffix chooses the format.
    rate: frames per second, for players that ask.
    time_base: the unit of all times, in s.
    sounds: the sound tracks whose packets will be written.
    tags, picture_tags: tags of the file and of its picture track.
    keep_tags: False writes no tags except the languages of the sound.
    """

    def __init__(
        self,
        path: Path | BinaryIO,
        target: Path,
        rate: Fraction,
        time_base: Fraction,
        sounds: Sequence[AudioStream] = (),
        tags: Mapping[str, str] | None = None,
        picture_tags: Mapping[str, str] | None = None,
        keep_tags: bool = True,
    ) -> None:
        self.path, self.target, self.format = path, target, FORMATS[target.suffix.lower()]
        self.rate, self.time_base, self.sounds = rate, time_base, sounds
        self.keep_tags = keep_tags
        self.tags = _kept_file_tags(tags or {}) if keep_tags else {}
        self.picture_tags = kept_tags(picture_tags or {}, self.format) if keep_tags else {}
        self.notes: list[str] = []  # what was changed, a line each
        self.durations: dict[int, int] = {}  # of frames inside the encoder, by their ticks
        self.container: OutputContainer | None = None

    def write(
        self,
        frame: Tensor,
        ticks: int,
        duration: int = 1,
        sound: Sequence[Packet] = (),
        aspect: Fraction | None = None,
    ) -> None:
        """Add `frame` (3, H, W) in [0, 1], shown from `ticks` for `duration` ticks, and the packets in `sound`.

        An odd height or width gets one more row or column, because encoders need even ones. All frames have one size.
        aspect: width over height of a pixel, None for square pixels; that of the first frame counts.
        """
        from av import VideoFrame
        from av.video.reformatter import ColorRange, Colorspace

        height, width = frame.shape[1:]
        even = F.pad(frame[None], (0, width % 2, 0, height % 2), mode="replicate")[0]
        array = as_bytes(even.detach()).permute(1, 2, 0).contiguous().cpu().numpy()
        if self.container is None:
            with failing_as(f"cannot write {self.target}"):
                self._begin(height + height % 2, width + width % 2, aspect)
        picture = VideoFrame.from_ndarray(array, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = ticks, self.time_base
        self.durations[ticks] = duration
        with failing_as(f"cannot write {self.target}"):
            self._mux_pictures(self.stream.encode(picture))
            self._mux_sound(sound)

    def _begin(self, height: int, width: int, aspect: Fraction | None) -> None:
        try:
            self._start(height, width, aspect, encode=False)
        except (load_av().FFmpegError, ValueError):  # only starting a container shows what it can hold
            if not self.sounds:
                raise
            if self.container is not None:
                with suppress(load_av().FFmpegError, OSError):
                    self.container.close()
            self._start(height, width, aspect, encode=True)
        for number, sound in enumerate(self.sounds, start=1):
            track = self.tracks[sound.index]
            if not track.copied:
                names = f"{sound.codec_context.name} does not go into {self.target.suffix}"
                self.notes.append(f"sound track {number} was encoded as {track.stream.codec_context.name}: {names}")

    def _start(self, height: int, width: int, aspect: Fraction | None, encode: bool) -> None:
        named = isinstance(self.path, Path)  # to move the index to the front, FFmpeg opens the file again by its name
        options = {"movflags": "+faststart"} if named and self.format in ("mp4", "mov") else {}
        file = f"file:{self.path}" if named else self.path
        container: OutputContainer = load_av().open(file, "w", format=self.format, options=options)
        self.container = container
        container.metadata.update(self.tags)
        codec, settings = VP9 if self.format == "webm" else H264
        self.stream = container.add_stream(codec, rate=self.rate, options=settings)
        self.stream.width, self.stream.height, self.stream.pix_fmt = width, height, "yuv420p"
        self.stream.metadata.update(self.picture_tags)
        context = self.stream.codec_context
        context.time_base = self.time_base
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1  # BT.709, video
        if aspect:
            context.sample_aspect_ratio = aspect
        self.tracks = {sound.index: SoundTrack(sound, container, encode, self.keep_tags) for sound in self.sounds}
        container.start_encoding()

    def _mux_pictures(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            assert packet.pts is not None  # every frame has its own
            ticks = round(packet.pts * packet.time_base / self.time_base)
            packet.duration = round(self.durations.pop(ticks) * self.time_base / packet.time_base)
            self._mux(packet)

    def _mux_sound(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            self._mux(self.tracks[packet.stream.index].convert(packet))

    def _mux(self, packets: Packet | Sequence[Packet]) -> None:
        assert self.container is not None  # it is there before its tracks are
        self.container.mux(packets)

    def finish(self, sound: Sequence[Packet] = ()) -> None:
        """Complete the file, with the last packets of `sound`. Raises `MultistyleError` if no frame was written."""
        if self.container is None:
            raise MultistyleError(f"cannot write {self.target}: there are no frames")
        with failing_as(f"cannot write {self.target}"):
            self._mux_sound(sound)
            self._mux_pictures(self.stream.encode(None))
            for track in self.tracks.values():
                self.container.mux(track.flush())
            self.container.close()

    def discard(self) -> None:
        """Close an unfinished file; does nothing after `finish`. Never raises."""
        if self.container is not None:
            with suppress(load_av().FFmpegError, OSError, ValueError):
                self.container.close()


def _kept_file_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a file that also apply to its painting; the place is renamed to a tag that every container keeps."""
    kept = {key: value for key, value in kept_tags(tags).items() if key.upper() not in BRANDS}
    place = next((value for key, value in kept.items() if key.upper() in PLACES), None)
    return kept if place is None else kept | {"location": place}
