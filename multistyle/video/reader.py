"""Video file to upright frames with their times, and packets of sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import MultistyleError
from ..files import check_input
from .clock import Clock
from .cut import STRUCTURED, is_cut_short
from .pictures import Deinterlacer, upright

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

# FFmpeg's names of the formats that are opened: no playlists or other formats that make FFmpeg open further files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,gif,apng,ogg,mxf,nut,dv,wtv,rm,ivf,"
    "h264,hevc,m4v,yuv4mpegpipe"
)
SHORT = 0.5  # s; a video that misses more than this at its end is cut short


class Frame(NamedTuple):
    """One picture of a video."""

    pixels: np.ndarray  # upright, RGB bytes (H, W, 3), transparent parts on white
    ticks: int  # when it begins, in units of the reader's `time_base`
    duration: int  # for how long it is shown, in the same units
    time: float  # when it begins, in s from the first frame
    aspect: Fraction | None  # width over height of a pixel; None where the file gives none


def load_av() -> ModuleType:
    """PyAV. Raises `MultistyleError` if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise MultistyleError("video needs PyAV: pip install 'multistyle[video]'") from error
    return av


@contextmanager
def failing_as(text: str) -> Iterator[None]:
    """Turn errors of FFmpeg and the system into a `MultistyleError` that begins with `text`."""
    av = load_av()
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MultistyleError(f"{text}: {getattr(error, 'strerror', None) or error}") from error


class VideoReader:
    """A video file, read once from the beginning; iterate over it to get every `Frame`.

    path: of the file. Raises `MultistyleError` unless it is a video in a known format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.container = _open(self.path)
        self.stream = self._find_video()
        self.stream.thread_type = "AUTO"
        self.notes: list[str] = []  # what was left out or changed, a line each
        self.sounds = self._find_sounds()
        self._sound: list[Packet] = []
        self.metadata = dict(self.container.metadata)
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.time_base = self.stream.time_base or 1 / self.rate
        self.step = max(
            1, round(1 / (self.rate * self.time_base))
        )  # ticks from frame to frame, where nothing else is known
        length = stream_length(self.stream)
        self.length = length or (self.container.duration or 0) / load_av().time_base or None  # s, None: unknown
        self.total = self.stream.frames or (round(self.length * self.rate) if self.length else None)  # frames, likewise
        self.damaged = False  # whether something could not be read
        self._jumps = bool(self.container.format.flags & load_av().format.Flags.ts_discont.value)
        self._start = max(0.0, (self.container.start_time or 0) / load_av().time_base)
        self._end = None if self._jumps or not length else self._told_end(length)  # those with jumps store no length
        self._shape: tuple[int, int] | None = None
        self._deinterlacer: Deinterlacer | None = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[Frame]:
        first, frame = 0, None
        for picture in self._pictures():
            scale = (picture.time_base or self.time_base) / self.time_base
            if frame is None:
                ticks = first = round(picture.pts * scale) if picture.pts is not None else 0
            else:
                following = frame.ticks + frame.duration if picture.pts is None else round(picture.pts * scale)
                ticks = max(following, frame.ticks + 1)  # encoders insist on it
                yield frame._replace(duration=ticks - frame.ticks)
            duration = round((picture.duration or 0) * scale) or self.step
            pixels, aspect = self._upright(picture)
            frame = Frame(pixels, ticks, duration, float((ticks - first) * self.time_base), aspect)
        if frame is not None:
            yield self._last(frame)

    def _told_end(self, length: float) -> float:
        """When the last frame ends according to the file, in corrected s."""
        late = 0.0 if "matroska" in self.container.format.name else (self.stream.start_time or 0) * self.time_base
        return length + float(late) - self._start

    def _last(self, frame: Frame) -> Frame:
        """`frame`, shown until the end that the file gives; sets `damaged` if frames are missing before that."""
        end = frame.ticks + frame.duration
        if self._end is None or end * self.time_base >= self._end:
            return frame
        if self.container.format.name.startswith(STRUCTURED):
            self.damaged = self.damaged or is_cut_short(self.path)
        else:
            self.damaged = self.damaged or float(end * self.time_base) < self._end - SHORT
        return frame if self.damaged else frame._replace(duration=round(self._end / self.time_base) - frame.ticks)

    def packets(self) -> Iterator[Packet]:
        """The packets of picture and sound with corrected times, up to the end or the first unreadable one."""
        clock = Clock(Fraction(self.container.start_time or 0, load_av().time_base), self._jumps)
        try:
            for packet in self.container.demux(self.stream, *self.sounds):
                if packet.size:  # the last ones are empty
                    clock.correct(packet)
                yield packet
        except load_av().FFmpegError:
            self.damaged = True

    def take_sound(self) -> list[Packet]:
        """The packets of sound that were read since the last call."""
        taken, self._sound = self._sound, []
        return taken

    def _pictures(self) -> Iterator[VideoFrame]:
        for packet in self.packets():
            if packet.stream is not self.stream:
                self._sound.append(packet)
                continue
            for picture in self._decode(packet):
                if picture.interlaced_frame and self._deinterlacer is None:
                    self._deinterlacer = Deinterlacer()
                    self.notes.append("interlaced pictures were deinterlaced")
                yield from [picture] if self._deinterlacer is None else self._deinterlacer(picture)
        if self._deinterlacer is not None:
            yield from self._deinterlacer.flush()

    def _decode(self, packet: Packet) -> list[VideoFrame]:
        try:
            return self.stream.decode(packet)
        except load_av().FFmpegError:
            self.damaged = True
            return []

    def _upright(self, picture: VideoFrame) -> tuple[np.ndarray, Fraction | None]:
        shape = (picture.height, picture.width)
        if self._shape is None:
            self._shape = shape
        elif shape != self._shape and not any("size" in note for note in self.notes):
            sizes = [f"{width} x {height}" for height, width in (self._shape, shape)]
            self.notes.append(f"the size changes from {sizes[0]} to {sizes[1]}; all pictures were made {sizes[0]}")
        pixels, swapped = upright(picture, *self._shape)
        aspect = self.stream.sample_aspect_ratio
        return pixels, 1 / aspect if aspect and swapped else aspect

    def _find_video(self) -> VideoStream:
        cover = load_av().stream.Disposition.attached_pic
        for stream in self.container.streams.video:
            if stream.codec_context is not None and not stream.disposition & cover:
                return stream
        unknown = any(not stream.disposition & cover for stream in self.container.streams.video)
        self.container.close()
        reason = "a picture track of an unknown codec" if unknown else "no video in it"
        raise MultistyleError(f"{self.path} has {reason}")

    def _find_sounds(self) -> list[AudioStream]:
        sounds = list(self.container.streams.audio)
        for number, sound in enumerate(sounds, start=1):
            if sound.codec_context is None:
                self.notes.append(f"sound track {number} was left out: its codec is unknown")
        return [sound for sound in sounds if sound.codec_context is not None]


def _open(path: Path) -> InputContainer:
    """The container at `path`; a colon in a name is not a protocol, and bytes that are not UTF-8 are kept."""
    av = load_av()
    check_input(path)
    allowed = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "fflags": "+genpts"}
    try:
        return av.open(f"file:{os.path.realpath(path)}", options=allowed, metadata_errors="surrogateescape")
    except (av.InvalidDataError, av.ArgumentError) as error:
        known = "mp4, mov, mkv, webm, avi, mpeg, ts, flv, gif and others"
        raise MultistyleError(f"{path} is not a video in a known format ({known}), or it is damaged") from error
    except (av.FFmpegError, OSError) as error:
        raise MultistyleError(f"cannot read {path}: {error.strerror or error}") from error


def stream_length(stream: VideoStream) -> float | None:
    """The length in s that the file gives for `stream`; Matroska stores it in a tag, as hours:minutes:seconds."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except (KeyError, ValueError):
        return None


def last_frame_time(path: str | Path) -> float:
    """When the last frame of the video at `path` begins, in s from its first; read without decoding."""
    with VideoReader(path) as reader:
        packets = (packet for packet in reader.packets() if packet.stream is reader.stream and packet.size)
        times = [time for packet in packets if (time := packet.dts if packet.pts is None else packet.pts) is not None]
        return float((max(times) - min(times)) * reader.time_base) if times else 0.0
