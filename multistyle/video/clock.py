"""Correct the times of packets: recordings start anywhere, joined ones restart; here they start at 0 and run on."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import Packet

BACK = Fraction(1, 10)  # s; a stream that goes back by more than this has restarted
AHEAD = 10  # s; in a format whose clock may jump, a larger gap is a jump


class Clock:
    """Shifts all streams of a file by the same time: its start, and every jump of its clock.

    start: when the file starts, in s.
    jumps: whether gaps of more than 10 s count as jumps of the clock, as in MPEG
    transport streams; in other formats a gap is a long picture. Going back is a restart in every format.
    """

    def __init__(self, start: Fraction, jumps: bool) -> None:
        self.jumps = jumps
        self.offset = -max(start, Fraction(0))  # s, since the latest jump; a negative start is a decoder's lead-in
        self.offsets: dict[int, Fraction] = {}  # by stream: not all of them have reached the latest jump
        self.firsts: dict[int, Fraction] = {}  # of each stream, when it began, in corrected s
        self.starts: dict[int, Fraction] = {}  # and when its last packet began
        self.steps: dict[int, Fraction] = {}  # and how long it lasted
        self.ends: dict[int, Fraction] = {}  # and when it ended

    def correct(self, packet: Packet) -> None:
        """Shift the times of `packet`, the next packet of the file."""
        base, index = packet.time_base, packet.stream_index
        if packet.dts is not None:
            self._follow(index, packet.dts * base, (packet.duration or 0) * base)
        shift = round(self.offsets.get(index, self.offset) / base)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift

    def _follow(self, index: int, time: Fraction, duration: Fraction) -> None:
        """Find the offset of stream `index`, which has a packet at `time`, uncorrected."""
        offset = self.offsets.get(index, self.offset)
        breaks = self._breaks(index, time + offset)
        if breaks:
            if self._breaks(index, time + self.offset):
                back = time + offset < self.ends[index]
                self.offset = (self._restart(index) if back else self.ends[index]) - time
            offset = self.offset
        if (
            not duration and index in self.starts
        ):  # MPEG transport streams give none; it lasts as long as the one before
            duration = max(Fraction(0), time + offset - self.starts[index]) if not breaks else self.steps[index]
        self.offsets[index], self.starts[index], self.steps[index] = offset, time + offset, duration
        self.ends[index] = time + offset + duration
        self.firsts.setdefault(index, time + offset)

    def _restart(self, index: int) -> Fraction:
        """When stream `index` continues after a restart: after all streams, with the delay it had at the start."""
        return max(self.ends.values()) + self.firsts[index] - min(self.firsts.values())

    def _breaks(self, index: int, time: Fraction) -> bool:
        """Whether a packet of stream `index` at corrected `time` cannot follow the one before."""
        if index not in self.ends:
            return False
        return time < self.starts[index] - BACK or (self.jumps and time > self.ends[index] + AHEAD)
