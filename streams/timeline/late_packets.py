"""Late packets of a track: disorder, or a clock that has stepped back (law 5 and 6). PURE."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from streams.timeline.arrival import LIVE_US, SHOWN, ArrivalClock
from streams.timeline.track import Track
from streams.timeline.waiting import (
    LAG_US,
    LONG_PAUSE_US,
    LONGEST_STREAK,
    LOOK_AHEAD_US,
    MAX_OVERLAP_US,
    PACKET_US,
    PAUSE_US,
    SPEECH_PACKETS,
    TOLERANCE_US,
    Lag,
    Streak,
    Timed,
    Waiting,
    arrival_of,
    place_of,
)

NEVER_US = 1 << 62

MOST_SEARCHED = 512
"""Packets of a queue that is searched for a step: a longer one is a flood."""

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


def may_lag(track: Track) -> bool:
    """Whether the newest packets lag, or the last one is out of order."""
    return bool(track.lag.first or track.late_streak.arrivals)


def lag_alike(track: Track, arrival: ArrivalClock, packet: Timed, latest_us: int) -> bool:
    """Notes a packet that has just been queued, and returns whether the packets that lag, of which
    this is the last, have arrived as they were spoken, and late by the same, for long enough. One
    on time ends the lag. The latest epoch of the call is `latest_us`.
    """
    lag = track.lag
    if packet.arrived_us is None or (not may_lag(track) and track.shift_us == latest_us):
        return False
    late_us = arrival.lateness_us(packet.timestamp_us + track.shift_us, packet.arrived_us)
    is_known = late_us > LAG_US and arrival.is_shown and not arrival.is_slow
    if not is_known or len(lag.arrived) >= LONGEST_STREAK:
        if lag.first:
            track.lag = Lag()
        return False
    lag.first = lag.first or track.arrivals
    lag.arrived.append(packet.arrived_us)
    lag.late_us.append(late_us)
    fewest = SHOWN if track.shift_us != latest_us else 2 * SHOWN
    if len(lag.arrived) < fewest or len(lag.arrived) % SHOWN:
        return False
    passed_us = packet.arrived_us - lag.arrived[-SHOWN]
    is_live = passed_us >= LIVE_US
    return is_live and max(lag.late_us[-SHOWN:]) - min(lag.late_us) <= TOLERANCE_US


def lag_us(track: Track, latest_us: int) -> int:
    """Returns by how much the clock has stepped back before the packets that lag; else 0.

    Packets that the network delays continue the audio. After a step back, they continue it only if
    they are moved by as much as they are late; or others have shown the same step, to the epoch
    `latest_us`.
    """
    by_us, first = min(track.lag.late_us), track.lag.first
    after = sorted([one for one in track.waiting if one.arrival >= first], key=arrival_of)
    if not after or after[0].arrival != first or len(track.waiting) > MOST_SEARCHED:
        track.lag = Lag()  # its first packets are placed already
        return 0
    if max(one.place_us for one in after) < (track.newest_us or 0):
        return 0
    step_us = latest_us - track.shift_us
    if step_us and abs(step_us - by_us) <= TOLERANCE_US:
        return step_us
    if len(after) <= SHOWN:
        return 0
    before = [one for one in track.waiting if one.arrival < first]
    offsets = _offsets(track, [*before, *after])
    moved = [one + by_us for one in offsets[len(before) :]]
    end_us = None if track.end is None else track.end * 1_000_000 // track.sample_rate
    lowest = [*accumulate([*moved[::-1], *offsets[: len(before)][::-1]], min)]
    for lowest_us in lowest[: len(after) - 1 : -1]:
        if end_us is None or lowest_us - end_us > TOLERANCE_US:
            end_us = lowest_us  # time is missing before this packet
    # the first ones alone may be out of order
    is_next = end_us is not None and abs(min(moved[SHOWN:]) - end_us) <= TOLERANCE_US
    return by_us if is_next else 0


def _offsets(track: Track, packets: Sequence[Waiting]) -> list[int]:
    """Returns where audio of all packets begins if each of them lies at its place; those without
    timestamp have none of their own.
    """
    offsets, before_us = [], 0
    for packet in packets:
        offsets.append(packet.place_us - before_us if packet.timed else NEVER_US)
        before_us += track.duration_us(packet.pcm)
    return offsets
