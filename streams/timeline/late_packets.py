"""Late packets of a track: disorder, or a clock that has stepped back (law 5 and 6). PURE."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from streams.timeline.arrival import LIVE_US, SHOWN, ArrivalClock
from streams.timeline.track import Track
from streams.timeline.waiting import (
    LONG_PAUSE_US,
    LONGEST_STREAK,
    LOOK_AHEAD_US,
    MAX_OVERLAP_US,
    PACKET_US,
    PAUSE_US,
    SPEECH_PACKETS,
    TOLERANCE_US,
    Streak,
    Timed,
    Waiting,
    place_of,
)

ORDERLY = 8
"""Speech has at most one packet out of order among this many."""


def are_enough(track: Track) -> bool:
    """Whether the late packets may be more than disorder."""
    streak = track.late_streak
    is_long = streak.samples * 1_000_000 > MAX_OVERLAP_US * track.sample_rate
    return is_long or len(streak.arrivals) >= SPEECH_PACKETS


def take_displaced(track: Track) -> list[Timed]:
    """Removes and returns late packets whose place is taken by other audio (law 5).

    In true disorder late packets fill holes. After a step back of the clock they and the audio
    already there are together longer than the time they span, and than the time that has
    passed since a pause: the first alone may be a burst.
    """
    if not _may_have_stepped(track):
        return []
    beyond = _beyond(track, track.late_streak.lowest_us)
    span_us = track.newest_end_us - track.late_streak.lowest_us
    is_full = _length_us(track, beyond) - span_us > MAX_OVERLAP_US
    if not is_full and len(track.late_streak.arrivals) <= LONGEST_STREAK:
        return []
    late = _late_of(track, beyond)
    if not _may_have_stepped(track):
        return []
    if len(late) <= LONGEST_STREAK and not (_is_speech(track, late) or _overlaps(track)):
        return []
    return take_streak(track)


def take_streak(track: Track) -> list[Timed]:
    """Removes and returns the late packets that are still queued, in order of arrival."""
    late = _late_of(track, _beyond(track, track.late_streak.lowest_us))
    late.sort(key=lambda packet: packet.arrival)
    streak = track.late_streak
    displaced, arrived_us = set(streak.arrivals), streak.arrived_us
    track.waiting = [packet for packet in track.waiting if packet.arrival not in displaced]
    track.held -= streak.samples
    track.late_streak = Streak()
    track.counted = False
    return [
        Timed(
            packet.place_us - track.shift_us,
            packet.pcm,
            arrived_us[packet.arrival],
            is_counted=True,
        )
        for packet in late
    ]


def show_step(track: Track, by_us: int, arrival: ArrivalClock, latest_us: int | None) -> bool:
    """Whether the late packets of the track follow its audio if they are moved by `by_us`, and
    do not lie in the future then.
    """
    streak, newest_us = track.late_streak, track.newest_us
    if not streak.arrivals or newest_us is None:
        return False
    place_us = streak.lowest_us + by_us
    arrived_us = streak.arrived[-1] if streak.arrived else None
    if place_us < newest_us - 2 * PAUSE_US or arrival.may_refute(place_us, arrived_us):
        return False
    youngest_us = max(track.newest_end_us, latest_us or 0) + LOOK_AHEAD_US
    return arrived_us is not None or place_us <= youngest_us


def take_step(
    track: Track, by_us: int, arrival: ArrivalClock, latest_us: int | None
) -> list[Timed]:
    """Removes and returns the late packets, if they show the same step back, by `by_us`."""
    return take_streak(track) if show_step(track, by_us, arrival, latest_us) else []


def late_after_pause(track: Track, arrival: ArrivalClock, packet: Timed) -> int:
    """Returns how much later the packet arrives than it was spoken, in µs, if it follows a pause of
    its track or is its first, and is too late for a network; else 0.
    """
    place_us = packet.timestamp_us + track.shift_us
    if packet.arrived_us is None or not arrival.is_shown or arrival.host_step_us:
        return 0
    if arrival.is_slow or (track.newest_us and place_us - track.newest_us <= PAUSE_US):
        return 0
    late_us = arrival.lateness_us(place_us, packet.arrived_us)
    return late_us if late_us > LOOK_AHEAD_US else 0


def stepped_us(track: Track, arrival: ArrivalClock, packet: Timed) -> int:
    """Returns by how much the clock has stepped back in a pause of the track, if the packets since,
    of which this is the last, are all late by more than a network delays them, and arrive as they
    are spoken; else 0.
    """
    first_us, least_us, track.late_us = track.resumed_late_us, track.late_us, 0
    if packet.arrived_us is None or track.resumed_us is None:
        return 0
    late_us = arrival.lateness_us(packet.timestamp_us + track.shift_us, packet.arrived_us)
    if late_us <= LOOK_AHEAD_US:
        return 0
    least_us = min(least_us, late_us)
    if track.arrivals - track.resumed_arrival + 1 < SHOWN:
        track.late_us = least_us
        return 0
    passed_us = packet.arrived_us - track.resumed_us
    is_live = passed_us >= LIVE_US and 2 * abs(late_us - first_us) <= passed_us
    return least_us if is_live else 0


def _may_have_stepped(track: Track) -> bool:
    """Checks totals alone: a flood of late packets makes a long queue, which must not be
    searched each time.
    """
    streak, newest_us = track.late_streak, track.newest_us or 0
    if newest_us - streak.lowest_us <= TOLERANCE_US:
        return False
    if len(streak.arrivals) > LONGEST_STREAK:
        return True
    if streak.samples * 1_000_000 <= MAX_OVERLAP_US * track.sample_rate:
        return False
    most_us = track.newest_end_us - streak.lowest_us + MAX_OVERLAP_US
    return track.held * 1_000_000 > most_us * track.sample_rate


def _beyond(track: Track, place_us: int) -> list[Waiting]:
    """Returns the queued packets from a place on."""
    return track.waiting[bisect_left(track.waiting, place_us, key=place_of) :]


def _length_us(track: Track, packets: Sequence[Waiting]) -> int:
    return sum([len(packet.pcm) for packet in packets]) * 500_000 // track.sample_rate


def _late_of(track: Track, beyond: Sequence[Waiting]) -> list[Waiting]:
    """Returns the late packets by place; removes those already placed from the streak."""
    arrivals = set(track.late_streak.arrivals)
    late = [packet for packet in beyond if packet.arrival in arrivals]
    if len(late) < len(arrivals):
        arrived_us, track.late_streak = track.late_streak.arrived_us, Streak()
        for packet in late:
            track.late_streak.add(packet, arrived_us[packet.arrival])
    return late


def _is_speech(track: Track, late: Sequence[Waiting]) -> bool:
    """Whether the late packets, by place, are speech: enough of them, which arrived as slowly as
    spoken, and in the order of their places. In disorder every second one is older than the last.
    """
    streak = track.late_streak
    descents = sum(after.arrival < before.arrival for before, after in pairwise(late))
    if descents * ORDERLY > len(late):
        return False
    arrived = [at_us for at_us in streak.arrived if at_us is not None]
    if len(arrived) < SPEECH_PACKETS:
        return False
    return 2 * (arrived[-1] - arrived[0]) * track.sample_rate > streak.samples * 1_000_000


def _overlaps(track: Track) -> bool:
    """Whether the queue, placed contiguously, would end after the youngest packet."""
    start_us, held = _speech_before(track, track.late_streak.lowest_us)
    if start_us is None:
        held = track.held
        start_us = (
            track.waiting[0].place_us
            if track.end is None
            else track.end * 1_000_000 // track.sample_rate
        )
    end_us = start_us + held * 1_000_000 // track.sample_rate
    return end_us - track.newest_end_us > MAX_OVERLAP_US


def _speech_before(track: Track, place_us: int) -> tuple[int | None, int]:
    """Returns where the ordinary speech before a place began, after a pause, and the samples
    queued since. None if there was no pause, or if a burst followed it: its packets will be
    placed in the pause.
    """
    number = last = bisect_left(track.waiting, place_us, key=place_of)
    while number:
        number -= 1
        before_us = 0 if track.end is None else track.end * 1_000_000 // track.sample_rate
        if number:
            before = track.waiting[number - 1]
            before_us = before.place_us + track.duration_us(before.pcm)
        packet = track.waiting[number]
        if packet.place_us - before_us > LONG_PAUSE_US:
            break
    else:
        return None, 0
    speech = track.waiting[number:last]
    if len(speech) < SPEECH_PACKETS:
        return None, 0
    span_us = speech[-1].place_us + track.duration_us(speech[-1].pcm) - packet.place_us
    if _length_us(track, speech) - span_us > PACKET_US:
        return None, 0
    return packet.place_us, sum([len(one.pcm) // 2 for one in track.waiting[number:]])
