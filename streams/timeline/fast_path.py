"""The way of ordinary packets onto the axis: many at once, for a fraction of what one by one costs.
PURE.

Packets are ordinary where the laws of the timeline have nothing to decide: each has a timestamp,
comes for the first time, and is at most 60 ms older than the youngest before it; and none that is
placed lies more than 60 ms ahead of the contiguous audio, so that none of them can be the end of a
gap, whatever the envelope says. Everything else goes through `Track` packet by packet. Both ways
end in the same state (tests/streams/timeline/test_fast_path.py).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from streams.timeline.duplicates import fingerprint
from streams.timeline.track import (
    LONGEST_WAIT_SECONDS,
    LOOK_AHEAD_US,
    MAX_WAITING,
    TOLERANCE_US,
    Streak,
    Track,
    Waiting,
    place_of,
)


@dataclass(slots=True)
class Arrived:
    """Packets of one track in the order they came: `stamps` in µs, and their PCM."""

    stamps: list[int] = field(default_factory=list)
    pcms: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """What becomes of a track with the packets that have `arrived`. `held`: samples that have
    waited or arrived.
    """

    track: Track
    arrived: Arrived
    waiting: list[Waiting]
    held: int
    youngest: Waiting
    late_streak: Streak
    late: int
    fingerprints: list[int] = field(default_factory=list)

    @property
    def due(self) -> int:
        """How many of those that wait are to be placed."""
        return bisect_right(self.waiting, self.youngest.place_us - LOOK_AHEAD_US, key=place_of)


def plan(track: Track, arrived: Arrived) -> Batch | None:
    """What will become of the track; None where one of the packets is not ordinary. Changes
    nothing.
    """
    if track.newest_us is None or track.strays:
        return None
    waiting, newest_us, arrival, held = (
        track.waiting.copy(),
        track.newest_us,
        track.arrivals,
        track.held,
    )
    youngest, streak, late = None, Streak(), 0
    for stamp_us, pcm in zip(arrived.stamps, arrived.pcms, strict=True):
        arrival += 1
        packet = Waiting(stamp_us + track.shift_us, pcm, arrival)
        behind_us = newest_us - packet.place_us
        if -LOOK_AHEAD_US <= behind_us <= 0:
            newest_us, youngest = packet.place_us, packet
            if streak.arrivals:
                streak = Streak()
        elif (youngest or not track.late_streak.arrivals) and 0 < behind_us <= TOLERANCE_US:
            streak.add(packet)
            late += 1
        else:
            return None
        waiting.append(packet)
        held += len(pcm) // 2
    if late:
        waiting.sort(key=place_of)
    if youngest is None:
        return None
    foreseen = Batch(track, arrived, waiting, held, youngest, streak, late)
    return (
        foreseen
        if _is_bounded(foreseen) and _is_contiguous(foreseen) and _is_new(foreseen)
        else None
    )


def apply(foreseen: Batch) -> None:
    """Makes it true."""
    track, ready = foreseen.track, foreseen.due
    track.remembered.add(foreseen.fingerprints, foreseen.arrived.stamps)
    track.arrivals += len(foreseen.arrived.stamps)
    track.newest_us = foreseen.youngest.place_us
    track.newest_end_us = track.newest_us + track.duration_us(foreseen.youngest.pcm)
    track.late += foreseen.late
    track.late_streak = foreseen.late_streak
    track.waiting, track.held = foreseen.waiting[ready:], foreseen.held
    track.invalidate_envelope()
    if ready:
        pieces = [packet.pcm for packet in foreseen.waiting[:ready]]
        count = sum(len(pcm) // 2 for pcm in pieces)
        track.held -= count
        track.place(pieces, count)


def _is_bounded(foreseen: Batch) -> bool:
    """Whether the queue could take all of them before one is placed."""
    longest = foreseen.track.sample_rate * LONGEST_WAIT_SECONDS
    return len(foreseen.waiting) <= MAX_WAITING and foreseen.held <= longest


def _is_contiguous(foreseen: Batch) -> bool:
    """Whether those that are ready follow one another without a decision to be made."""
    track, packets = foreseen.track, foreseen.waiting[: foreseen.due]
    if track.end is None:
        return not packets
    rate, furthest = track.sample_rate, track.end + track.reach
    for packet in packets:
        if packet.doubtful or (packet.timed and packet.place_us * rate // 1_000_000 > furthest):
            return False
        furthest += len(packet.pcm) // 2
    return True


def _is_new(foreseen: Batch) -> bool:
    """Whether all come for the first time."""
    foreseen.fingerprints = list(map(fingerprint, foreseen.arrived.stamps, foreseen.arrived.pcms))
    return foreseen.track.remembered.are_new(foreseen.fingerprints)
