"""Tiny films for tests, and what is in a film."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np

RATE = Fraction(24000, 1001)
ENCODERS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}  # the others get H.264
SAMPLES = 1024  # a frame of sound


def corner_picture(height: int, width: int) -> np.ndarray:
    """A dark red field (H, W, 3) with a yellow upper left corner."""
    picture = np.full((height, width, 3), (120, 30, 60), np.uint8)
    picture[: height // 2, : width // 2] = (240, 220, 40)
    return picture


def make_film(
    path: Path,
    frames: int = 8,
    size: tuple[int, int] = (48, 64),
    rate: Fraction = RATE,
    sounds: Sequence[str] = ("aac",),
    languages: Sequence[str] = (),
    sound_length: float | None = None,
    start: float = 0.0,
    late: float = 0.0,
    times: Sequence[int] | None = None,
    last: int | None = None,
    turn: dict | None = None,
    aspect: Fraction | None = None,
    tags: dict | None = None,
    picture_tags: dict | None = None,
    interlaced: bool = False,
    codec: str | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    flags: str = "+faststart",
    reordered: bool = False,
) -> Path:
    """Write a film of `frames` pictures at `path`, with a track of a tone for each codec in `sounds`.

    start: of the file, late: of the pictures after that, both in s. times: of the frames, in units of 1 / rate; last:
    how long the last one is shown, likewise. reordered: with frames stored out of order, the length then being that of
    the one stored last. sound_length: in s, None: as the pictures.
    """
    import av

    height, width = size
    options = {"movflags": flags} if path.suffix in (".mp4", ".mov") else {}  # a truncated one keeps its index
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(tags or {})
        settings = {"bf": "2" if reordered else "0", **({"flags": "+ildct+ilme"} if interlaced else {})}
        video = container.add_stream(codec or ENCODERS.get(path.suffix, "libx264"), rate=rate, options=settings)
        video.width, video.height, video.pix_fmt, video.codec_context.time_base = width, height, "yuv420p", 1 / rate
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        video.metadata.update(picture_tags or {})
        if turn:
            video.set_display_rotation(**turn)
        tracks = [container.add_stream(sound, rate=16000, layout="mono") for sound in sounds]
        for track, language in zip(tracks, languages, strict=False):
            track.metadata["language"] = language
        times = list(times or range(frames))
        begin = round((start + late) * rate)
        length = sound_length if sound_length is not None else late + float(len(times) / rate)
        for track in tracks:
            for index in range(round(length * 16000 / SAMPLES)):
                container.mux(track.encode(_tone(track, index, start)))
            container.mux(track.encode(None))
        for index, time in enumerate(times):
            picture = corner_picture(height, width) if pictures is None else pictures[index]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time + begin, 1 / rate
            container.mux(_lengthened(video.encode(frame), times[-1] + begin, last))
        rest = video.encode(None)
        if reordered and last is not None:
            rest[-1].duration = last
        container.mux(rest if reordered else _lengthened(rest, times[-1] + begin, last))
    return path


def _tone(track, index: int, start: float):
    import av

    wave = np.sin(np.arange(SAMPLES, dtype=np.float32) / 9)[None]
    whole = track.codec_context.format.name.startswith("s16")
    samples = (wave * 20000).astype(np.int16) if whole else wave
    tone = av.AudioFrame.from_ndarray(samples, format="s16" if whole else "fltp", layout="mono")
    tone.sample_rate, tone.pts = 16000, SAMPLES * index + round(start * 16000)
    return tone


def _lengthened(packets, ticks: int, last: int | None):
    for packet in packets:
        if last is not None and packet.pts == ticks:
            packet.duration = last
    return packets


def read_film(path: Path) -> SimpleNamespace:
    """What is in the film at `path`; times in s, those of the frames from the first one on."""
    import av

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        facts = SimpleNamespace(
            rate=video.average_rate,
            codec=video.codec_context.name,
            start=frames[0].time,
            times=[frame.time - frames[0].time for frame in frames],  # Matroska shifts all by the sound's lead-in
            pictures=[frame.to_ndarray(format="rgb24") for frame in frames],
            turned=any(frame.rotation for frame in frames),
            length=container.duration / av.time_base,
            tags={key.lower(): value for key, value in container.metadata.items()},
            languages=[sound.metadata.get("language") for sound in container.streams.audio],
            codecs=[sound.codec_context.name for sound in container.streams.audio],
            aspect=video.sample_aspect_ratio,
        )
        last = frames[-1]
        tag = video.metadata.get("DURATION")
        end = float(tag.split(":")[2]) if tag else last.time + float(last.duration * last.time_base)
        facts.last = end - last.time
    with av.open(str(path)) as container:
        packets = container.demux(audio=0) if container.streams.audio else []
        facts.sound = [bytes(packet) for packet in packets if packet.size]
    with av.open(str(path)) as container:
        heard = list(container.decode(audio=0)) if container.streams.audio else []
        facts.heard = (heard[0].time, heard[-1].time + heard[-1].samples / heard[-1].sample_rate) if heard else None
        facts.loudness = max((float(np.abs(frame.to_ndarray()).max()) for frame in heard), default=0.0)
    return facts
