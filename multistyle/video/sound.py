"""Sound packets for another container: copied, or encoded again if it cannot hold them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from .reader import load_av

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler, Packet
    from av.audio.stream import AudioStream
    from av.container import OutputContainer

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)  # Hz
LAYOUTS = {1: "mono", 6: "5.1", 8: "7.1"}  # by channels; anything else becomes stereo
QUICKTIME = {  # QuickTime's codes for languages with several codes
    "deu": "ger", "nld": "dut", "fre": "fra", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi", "rum": "ron",
    "cze": "ces", "slo": "slk", "sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo",
}  # fmt: skip
FILE_TAGS = {"DURATION", "ENCODER", "VENDOR_ID"}  # these describe the old file, not the recording


class SoundTrack:
    """A track of `container` that takes the sound of the stream `source`, with its language, title and role.

    keep_tags: False keeps only the language.
    copied: whether packets are copied unchanged; False if `encode` or the container demands it.
    """

    def __init__(
        self, source: AudioStream, container: OutputContainer, encode: bool = False, keep_tags: bool = True
    ) -> None:
        self.source, self.copied = source, not encode
        if self.copied:
            try:
                self.stream = container.add_stream_from_template(source)
            except ValueError:  # the container has no place for this codec
                self.copied = False
        if not self.copied:
            self.stream = self._add_encoder(source, container)
        tags = kept_tags(source.metadata, container.format.name)
        self.stream.metadata.update({key: tags[key] for key in tags if keep_tags or key == "language"})
        self.stream.disposition = source.disposition
        self.resampler: AudioResampler | None = None
        self.form: tuple | None = None
        self.last: int | None = None  # dts of the last packet, in units of the stream

    def _add_encoder(self, source: AudioStream, container: OutputContainer) -> AudioStream:
        codec: Literal["libopus", "aac"] = "libopus" if container.format.name == "webm" else "aac"
        rate = source.codec_context.sample_rate
        layout = LAYOUTS.get(source.codec_context.channels, "stereo")
        return container.add_stream(
            codec,
            rate=rate if codec == "aac" and rate in AAC_RATES else 48000,
            layout=layout,
            bit_rate=96000 * {"mono": 1, "5.1": 4, "7.1": 5}.get(layout, 2),
        )

    def convert(self, packet: Packet) -> list[Packet]:
        """The packets to write for `packet`; an empty packet is the end of the source."""
        if self.copied:
            return self._in_order([packet] if packet.size else [])
        try:
            frames = self.source.decode(packet)
        except load_av().FFmpegError:
            return []  # a damaged packet is silent
        encoded = [each for frame in frames for piece in self._resample(frame) for each in self.stream.encode(piece)]
        return self._in_order(encoded)

    def flush(self) -> list[Packet]:
        """The last encoded packets; none for a copied track."""
        if self.copied or self.resampler is None:
            return []
        encoded = [each for piece in self.resampler.resample(None) for each in self.stream.encode(piece)]
        return self._in_order(encoded + self.stream.encode(None))

    def _resample(self, frame: AudioFrame) -> list[AudioFrame]:
        form, context = (frame.format.name, frame.layout.name, frame.sample_rate), self.stream.codec_context
        resampler, pieces = self.resampler, []
        if resampler is None or form != self.form:
            if resampler is not None:
                pieces += resampler.resample(None)
            resampler = load_av().AudioResampler(context.format, context.layout, context.sample_rate)
            self.resampler, self.form = resampler, form
        return pieces + resampler.resample(frame)

    def _in_order(self, packets: list[Packet]) -> list[Packet]:
        """`packets` ready for the container, without those that go back in time, as where a clock restarted."""
        ready, time_base = [], self.stream.time_base
        assert time_base is not None  # the container has been started
        for packet in packets:
            if packet.dts is None:
                continue
            rescale(packet, time_base)
            if self.last is not None and packet.dts < self.last:
                continue
            if packet.dts == self.last:
                packet.dts += 1
                packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
            self.last, packet.stream = packet.dts, self.stream
            ready.append(packet)
        return ready


def rescale(packet: Packet, time_base: Fraction) -> None:
    """Convert the times of `packet` to units of `time_base`."""
    scale = packet.time_base / time_base
    packet.pts = None if packet.pts is None else round(packet.pts * scale)
    packet.dts = None if packet.dts is None else round(packet.dts * scale)
    packet.duration, packet.time_base = round((packet.duration or 0) * scale), time_base


def _decoded(text: str) -> str:
    """A tag as text: UTF-8 if it is valid, otherwise Latin-1."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def kept_tags(metadata: Mapping[str, str], format: str = "") -> dict[str, str]:
    """The tags of a stream or file that also apply to its painting or copy, in the terms of the container `format`."""
    statistics = ("BPS", "NUMBER_OF_", "_STATISTICS_")
    kept = {
        key: _decoded(value)
        for key, value in metadata.items()
        if key.upper() not in FILE_TAGS and not key.upper().startswith(statistics)
    }
    if format == "mov" and "language" in kept:
        kept["language"] = QUICKTIME.get(kept["language"], kept["language"])
    return kept
