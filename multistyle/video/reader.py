"""Video file -> frames, upright, with their times, and packets of sound. Only here and in `video` is PyAV imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MultistyleError

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.video.stream import VideoStream

UNTAGGED = 2  # a frame's colorspace where the file names none
HD = 720  # rows from which untagged video is BT.709
SHORT = 0.5  # s missing at the end that make a video cut short


def load_av() -> ModuleType:
    """PyAV. Raises `MultistyleError` where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise MultistyleError("video needs PyAV: pip install 'multistyle[video]'") from error
    return av


@contextmanager
def failing_as(text: str) -> Iterator[None]:
    """Turn what FFmpeg and the system raise inside into a `MultistyleError` that begins with `text`."""
    av = load_av()
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MultistyleError(f"{text}: {getattr(error, 'strerror', None) or error}") from error


class Film:
    """A video file being read; iterating gives its frames, upright, RGB bytes (H, W, 3).

    length: s, None where the file does not say; total: frames, likewise; last: when the last frame begins, s from the
    first one. While iterating, of the present frame: ticks, its time in units of `time_base`; time, s from the first;
    aspect, of a pixel, None where not told. frames: how many so far; sound: the packets of sound since `sound` was
    last cleared; damaged: whether something could not be read. Raises `MultistyleError` for what is no video.
    """

    def __init__(self, path: Path) -> None:
        av = load_av()
        try:
            self.container = av.open(str(path))
        except av.InvalidDataError as error:
            raise MultistyleError(f"{path} is not a video, or damaged from its beginning") from error
        except (av.FFmpegError, OSError) as error:
            raise MultistyleError(f"cannot read {path}: {error.strerror}") from error
        cover = av.stream.Disposition.attached_pic
        videos = [stream for stream in self.container.streams.video if not stream.disposition & cover]
        if not videos or "image2" in self.container.format.name or self.container.format.name.endswith("_pipe"):
            self.container.close()
            raise MultistyleError(f"{path} has no video in it")
        self.stream = videos[0]
        self.stream.thread_type = "AUTO"
        self.sounds = list(self.container.streams.audio)
        self.sound: list[Packet] = []
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.time_base = self.stream.time_base or 1 / self.rate
        self.step = max(1, round(1 / (self.rate * self.time_base)))  # ticks
        self.told = stream_length(self.stream)
        self.length = self.told or (self.container.duration or 0) / av.time_base or None
        self.total = self.stream.frames or (round(self.length * self.rate) if self.length else None)
        self.last = self.length - float(1 / self.rate) if self.length else 0.0
        self.frames, self.ticks, self.time, self.damaged = 0, 0, 0.0, False
        self.aspect: Fraction | None = None

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        start = end = 0
        for packet in self._packets():
            if packet.stream is not self.stream:
                self.sound.append(packet)
                continue
            for frame in self._decode(packet):
                ticks = frame.pts if frame.pts is not None else self.ticks + self.step * bool(self.frames)
                if self.frames == 0:
                    start = ticks
                else:
                    ticks = max(ticks, self.ticks + 1)  # encoders insist on it
                self.ticks, end = ticks, ticks + (frame.duration or self.step)
                self.time = float((ticks - start) * self.time_base)
                self.frames += 1
                array, swapped = upright(frame)
                aspect = self.stream.sample_aspect_ratio
                self.aspect = 1 / aspect if aspect and swapped else aspect
                yield array
        if self.told and float((end - start) * self.time_base) < self.told - SHORT:
            self.damaged = True

    def _packets(self) -> Iterator[Packet]:
        try:
            yield from self.container.demux(self.stream, *self.sounds)
        except load_av().FFmpegError:
            self.damaged = True

    def _decode(self, packet: Packet) -> list[VideoFrame]:
        try:
            return packet.decode()
        except load_av().FFmpegError:
            self.damaged = True
            return []


def stream_length(stream: VideoStream) -> float | None:
    """The length of `stream` in s as its file tells it; Matroska does so in a tag, as hours:minutes:seconds."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except (KeyError, ValueError):
        return None


def upright(frame: VideoFrame) -> tuple[np.ndarray, bool]:
    """`frame` as RGB bytes (H, W, 3), turned and mirrored as its display matrix says; and whether its sides swapped.

    The matrix sends a pixel at (x, y) to (a x + c y, b x + d y); of its angles those of a quarter turn are kept.
    """
    from av.sidedata.sidedata import Type
    from av.video.reformatter import Colorspace

    untagged = frame.colorspace == UNTAGGED
    space = Colorspace.ITU709 if untagged and frame.height >= HD else None
    array = frame.to_ndarray(format="rgb24", src_colorspace=space)
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return array, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    if swapped:
        array = array.transpose(1, 0, 2)
    mirrored_x, mirrored_y = (c < 0, b < 0) if swapped else (a < 0, d < 0)
    return np.ascontiguousarray(array[:: -1 if mirrored_y else 1, :: -1 if mirrored_x else 1]), swapped
