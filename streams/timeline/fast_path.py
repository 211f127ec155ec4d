"""Fast path: takes a batch at once when no law of the timeline has to decide. PURE.

That costs a fraction of taking packets one by one. It applies to packets that each have a
timestamp, arrive for the first time, and are at most 60 ms older than the youngest before them.
They are also placed at once if none to be placed lies more than 60 ms ahead of the contiguous
audio, so that none can be the end of a gap, whatever the envelope; else `Track` places them one by
one. Both paths end in the same state (tests/streams/timeline/test_fast_path.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from streams.timeline.arrival import STALL_US, ArrivalClock, greatest_lead
from streams.timeline.duplicates import fingerprints
from streams.timeline.track import Track
from streams.timeline.waiting import (
    LAG_US,
    LONGEST_WAIT_SECONDS,
    LOOK_AHEAD_US,
    MAX_WAITING,
    PAUSE_US,
    TOLERANCE_US,
    Streak,
    Waiting,
    place_of,
)

Packet = tuple[str, int | None, bytes]
"""Participant, timestamp in µs, PCM."""


@dataclass(slots=True)
class Arrived:
    """Packets of one track in order of arrival: their timestamps and times of arrival in µs, and
    their PCM.
    """

    stamps: list[int] = field(default_factory=list)
    pcms: list[bytes] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)

    @property
    def packets(self) -> Iterator[tuple[int, bytes, int | None]]:
        """Timestamp, PCM and arrival of each; without times of arrival they are None."""
        return zip(self.stamps, self.pcms, self.times or repeat(None), strict=False)


@dataclass(slots=True)
class Batch:
    """State of a track after the `arrived` packets; `held`: queued samples, before any placing."""

    track: Track
    arrived: Arrived
    waiting: list[Waiting]
    held: int
    youngest: Waiting
    late_streak: Streak
    resumed: list[tuple[Waiting, int | None]]  # packets after a pause, and when they arrived
    behind: list[tuple[Waiting, int | None]]  # packets out of order, and when they arrived
    arrivals: list[int] = field(default_factory=list)  # those that are known
    lead_us: int | None = None  # the greatest lead of its packets; None: arrival is unknown
    fingerprints: list[int] = field(default_factory=list)
    is_contiguous: bool = False  # else its packets are placed one by one

    @property
    def due(self) -> int:
        """Number of queued packets that can be placed."""
        return bisect_right(self.waiting, self.youngest.place_us - LOOK_AHEAD_US, key=place_of)


def arrived_of(packets: Sequence[Packet], times: Sequence[int | None]) -> dict[str, Arrived] | None:
    """Returns the packets by participant, in the order of their first packets; None if one of them
    has no timestamp or no audio.
    """
    arrived = {name: Arrived() for name in dict.fromkeys([packet[0] for packet in packets])}
    adders = {
        name: (one.stamps.append, one.pcms.append, one.times.append)
        for name, one in arrived.items()
    }
    for (participant, timestamp_us, pcm), at_us in zip(packets, times, strict=True):
        if timestamp_us is None or not pcm:
            return None
        add_stamp, add_pcm, add_time = adders[participant]
        add_stamp(timestamp_us)
        add_pcm(pcm)
        add_time(at_us)
    return arrived


def plan_all(
    tracks: Mapping[str, Track],
    arrived: Mapping[str, Arrived],
    sample_rate: int,
    *,
    arrival: ArrivalClock,
    epochs: Sequence[int],
) -> list[Batch] | None:
    """Plans one batch per participant; None if one of their packets cannot take the fast path.
    After a jump, a packet after a pause, or of a track that has not jumped, may belong to another
    of the `epochs`.
    """
    furthest_us = LOOK_AHEAD_US if len(epochs) == 1 else PAUSE_US
    batches = []
    for participant, of_track in arrived.items():
        track = tracks.get(participant)
        if track is None or track.sample_rate != sample_rate or track.shift_us != epochs[-1]:
            return None
        batch = plan(track, of_track, arrival=arrival, furthest_us=furthest_us)
        if batch is None:
            return None
        batches.append(batch)
    return batches


def plan(
    track: Track,
    arrived: Arrived,
    *,
    arrival: ArrivalClock | None = None,
    furthest_us: int = LOOK_AHEAD_US,
) -> Batch | None:
    """Computes the track's state after these packets; None if one needs `Track`. Changes nothing.

    `arrival`: the call's, which may refute a packet after a pause; `furthest_us`: the longest pause
    that needs no decision.
    """
    is_held = track.strays or track.late_us or track.lag.first
    batch = None if is_held else _queued(track, arrived, furthest_us)
    if batch is None or (
        arrival
        and (
            any(_is_suspect(arrival, one.place_us, at_us) for one, at_us in batch.resumed)
            or any(_may_lag(arrival, one.place_us, at_us) for one, at_us in batch.behind)
        )
    ):
        return None
    _add_lead(batch)
    if arrival and batch.lead_us is not None and not arrival.is_sure_of(batch.lead_us):
        return None
    batch.fingerprints = fingerprints(arrived.stamps, arrived.pcms)
    if not track.remembered.are_new(batch.fingerprints):
        return None
    batch.is_contiguous = _is_contiguous(batch)
    return batch


def _is_suspect(arrival: ArrivalClock, place_us: int, arrived_us: int | None) -> bool:
    """Whether a packet after a pause may lie in the future, or arrive later than a network delays
    packets, also if this batch shows a greater lead.
    """
    if arrived_us is None or arrival.may_refute(place_us, arrived_us):
        return arrived_us is not None
    return arrival.lateness_us(place_us, arrived_us) > LOOK_AHEAD_US - 2 * STALL_US


def _may_lag(arrival: ArrivalClock, place_us: int, arrived_us: int | None) -> bool:
    """Whether a packet out of order may be the first after a step back, also if this batch shows a
    greater lead.
    """
    return arrived_us is not None and arrival.lateness_us(place_us, arrived_us) > LAG_US - STALL_US


def apply(batch: Batch) -> None:
    """Applies the batch to its track."""
    track = batch.track
    track.remembered.add(batch.fingerprints, batch.arrived.stamps)
    if not batch.is_contiguous:
        for stamp_us, pcm, arrived_us in batch.arrived.packets:
            track.insert(stamp_us + track.shift_us, pcm, arrived_us)
            track.place_due()
        return
    ready = batch.due
    track.arrivals += len(batch.arrived.stamps)
    track.newest_us = batch.youngest.place_us
    track.newest_end_us = track.newest_us + track.duration_us(batch.youngest.pcm)
    track.late += len(batch.behind)
    track.late_streak = batch.late_streak
    for packet, arrived_us in batch.resumed[-1:]:
        track.resumed_us, track.resumed_arrival = arrived_us, packet.arrival
    track.waiting, track.held = batch.waiting[ready:], batch.held
    track.invalidate_envelope()
    if ready:
        pieces = [packet.pcm for packet in batch.waiting[:ready]]
        count = sum(len(pcm) // 2 for pcm in pieces)
        track.held -= count
        track.place(pieces, count)


def note_arrivals(arrival: ArrivalClock, batch: Batch, first_us: int | None) -> None:
    """Adds the packets of an applied batch to the call's clock, with the same result as adding them
    one by one; the first packet of all batches arrived at `first_us`.
    """
    stamps, arrivals = batch.arrived.stamps, batch.arrivals
    shift_us, lead_us = batch.track.shift_us, batch.lead_us
    if first_us is None or lead_us is None:
        return
    if arrivals[0] == first_us:
        arrival.add(stamps[0] + shift_us, first_us, lead_us)
    youngest_us = batch.youngest.place_us - shift_us
    number = batch.youngest.arrival - batch.track.arrivals - 1
    arrived_us = arrivals[number]
    while -number < len(stamps) and stamps[number - 1] == youngest_us:
        number -= 1
        arrived_us = max(arrived_us, arrivals[number])
    arrival.add(batch.youngest.place_us, arrived_us, lead_us)


def _add_lead(batch: Batch) -> None:
    """Adds the arrivals, and the greatest lead of the packets if all arrivals are known."""
    stamps = batch.arrived.stamps
    batch.arrivals = [at_us for at_us in batch.arrived.times if at_us is not None]
    if len(batch.arrivals) == len(stamps):
        batch.lead_us = greatest_lead(stamps, batch.arrivals) + batch.track.shift_us


def _queued(track: Track, arrived: Arrived, furthest_us: int) -> Batch | None:
    """Queues the packets behind one another; None if one is too late or too far ahead."""
    if track.newest_us is None:
        return None
    waiting, held = track.waiting.copy(), track.held
    newest_us, shift_us = track.newest_us, track.shift_us
    youngest, streak = None, Streak()
    resumed, behind = list[tuple[Waiting, int | None]](), list[tuple[Waiting, int | None]]()
    for number, (stamp_us, pcm, at_us) in enumerate(arrived.packets, track.arrivals + 1):
        packet = Waiting(stamp_us + shift_us, pcm, number)
        behind_us = newest_us - packet.place_us
        if -furthest_us <= behind_us <= 0:
            if behind_us < -PAUSE_US:
                resumed.append((packet, at_us))
            newest_us, youngest = packet.place_us, packet
            if streak.arrivals:
                streak = Streak()
        elif (youngest or not track.late_streak.arrivals) and 0 < behind_us <= TOLERANCE_US:
            streak.add(packet, at_us)
            behind.append((packet, at_us))
        else:
            return None
        waiting.append(packet)
        held += len(pcm) // 2
    if behind:
        waiting.sort(key=place_of)
    if youngest is None:
        return None
    return Batch(track, arrived, waiting, held, youngest, streak, resumed, behind)


def _is_contiguous(batch: Batch) -> bool:
    """Whether the queue can hold all packets before any is placed, and those that are due follow
    one another.
    """
    track, rate = batch.track, batch.track.sample_rate
    if len(batch.waiting) > MAX_WAITING or batch.held > rate * LONGEST_WAIT_SECONDS:
        return False
    packets = batch.waiting[: batch.due]
    if track.end is None:
        return not packets
    # In samples times 1,000,000 from the first place on: numbers that a processor can multiply.
    base_us = track.newest_us or 0
    most = (track.end + track.reach + 1) * 1_000_000 - base_us * rate
    for packet in packets:
        is_ahead = packet.timed and (packet.place_us - base_us) * rate >= most
        if packet.maybe_duplicate or is_ahead:
            return False
        most += len(packet.pcm) * 500_000
    return True
