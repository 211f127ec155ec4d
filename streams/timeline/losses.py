"""Packets that could not be written: in which gap of their track they are missing. PURE.

The order of arrival tells it, because timestamps may be wrong, or show a clock that has jumped.
Timestamps narrow it down where they agree: a packet after the lost ones may be one of them that has
come twice, or out of order.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from streams.timeline.track import Track
from streams.timeline.waiting import LOOK_AHEAD_US, PACKET_US, TOLERANCE_US, Gap

FEWEST_SPOKEN = 5
"""Fewer packets with old timestamps do not show a step of the clock."""


def are_copies(packets: int, stamps: tuple[int, int] | None, track: Track) -> bool:
    """Whether so many packets, with these first and last timestamps, were copies of packets that
    the track has received, so that none is missing. Many would be speech after a step of the clock.
    """
    if stamps is None or track.newest_us is None or packets >= FEWEST_SPOKEN:
        return False
    is_older = stamps[1] + track.shift_us < track.newest_us - TOLERANCE_US
    return is_older and {*stamps} <= {*track.remembered.stamps.values()}


def explain(losses: Iterable[Loss], gap: Gap) -> bool:
    """Whether packets that could not be written are the reason of a gap of their track. Ones that
    are too few to leave a gap (law 4) are not, if it is longer than they are by more than that.
    """
    lost_us = sum(loss.packets for loss in losses if loss.explains(gap)) * PACKET_US
    gap_us = gap.sample_count * 1_000_000 // gap.sample_rate
    return lost_us > TOLERANCE_US or (lost_us > 0 and gap_us <= lost_us + TOLERANCE_US)


class Loss(Struct):
    """Packets of a voice that could not be written. Times in µs.

    They are missing where they stand in the order of arrival: between the end `begin_us` of the
    audio before them (0: unknown) and the place `end_us` of the next packet (None: it has no place
    yet). `is_first`: the socket had no audio of the voice before them. `stamps`: the first and the
    last of their timestamps, if all had one; `shift_us`: the epoch of their track. `held_us`: the
    timestamp of the next packet, if it is held back. `is_settled`: no later packet can lie before
    them.
    """

    raw_id: str
    packets: int
    begin_us: int
    end_us: int | None = None
    is_first: bool = False
    stamps: tuple[int, int] | None = None
    shift_us: int = 0
    held_us: int | None = None
    is_settled: bool = False

    def note(self, track: Track, stamp_us: int | None) -> None:
        """Notes a packet of their track that has arrived after them, with this timestamp."""
        if self.packets == 1 and self.stamps == (stamp_us, stamp_us):
            self.packets, self.is_settled = 0, True  # it has come again, so it is not missing
            return
        if stamp_us is not None and track.shift_us == self.shift_us and self._is_before(stamp_us):
            return
        if self.end_us is None:
            self._find_end(track, stamp_us)
        else:
            self.is_settled = (track.newest_us or 0) > self.end_us + LOOK_AHEAD_US

    def explains(self, gap: Gap) -> bool:
        """Whether the packets are missing in this gap of their track."""
        gap_start_us = gap.start_sample * 1_000_000 // gap.sample_rate
        gap_end_us = (gap.start_sample + gap.sample_count) * 1_000_000 // gap.sample_rate
        return self.packets > 0 and self.begin_us < gap_end_us and gap_start_us < self._until_us()

    def _is_before(self, stamp_us: int) -> bool:
        """Whether a packet with this timestamp was spoken before the last of them, although it has
        arrived later: then it does not end them. They begin after it if all are younger.
        """
        if self.stamps is None:
            return False
        # In the order spoken, timestamps do not decrease. Several are equal in a burst.
        first_us, last_us = self.stamps
        furthest_us = stamp_us + LOOK_AHEAD_US
        if stamp_us <= first_us <= furthest_us and stamp_us < last_us:
            self.begin_us = max(self.begin_us, stamp_us + self.shift_us)
            return True
        # They fill the time between them, so the last timestamp is right.
        is_filled = last_us - first_us <= self.packets * PACKET_US + LOOK_AHEAD_US
        return first_us < stamp_us < last_us and (last_us <= furthest_us or is_filled)

    def _find_end(self, track: Track, stamp_us: int | None) -> None:
        """Notes the youngest place of their track, once that is a place after them."""
        if track.strays and self.held_us is None:
            self.held_us = stamp_us
        next_us = track.newest_us
        if next_us is None or next_us < self.begin_us:
            return
        if self.held_us is not None and self.begin_us <= self.held_us + track.shift_us < next_us:
            next_us = self.held_us + track.shift_us  # the clock has jumped
        self.end_us = next_us
        if self.is_first:  # before them, another socket may have recorded the voice
            self.begin_us = max(self.begin_us, next_us - self.packets * PACKET_US)

    def _until_us(self) -> int:
        """Returns where they end on the axis, at the latest."""
        if self.end_us is None:
            until_us = self.begin_us + self.packets * PACKET_US
        else:  # if few are lost, the next packet follows the audio before them without a gap
            until_us = self.end_us - TOLERANCE_US
        if self.stamps and (last_us := self.stamps[1] + self.shift_us) >= self.begin_us:
            until_us = min(until_us, last_us + PACKET_US)
        return until_us
