"""The first packets of a call, if later ones show that their timestamps lie in the future. PURE."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from itertools import compress, pairwise

from streams.timeline.arrival import (
    LIVE_US,
    RELIABLE_US,
    SHOWN,
    STALL_US,
    ArrivalClock,
    lead_of,
)
from streams.timeline.track import Track
from streams.timeline.waiting import (
    LOOK_AHEAD_US,
    MAX_STRAYS,
    MOST_FIRST,
    TOLERANCE_US,
    UNTIMED,
    Streak,
    Timed,
    Waiting,
    place_of,
)


def is_unsettled(tracks: Collection[Track]) -> bool:
    """Whether the call's clock is known from a few packets only, which still wait."""
    if any(track.end is not None for track in tracks):
        return False
    return sum(packet.timed for track in tracks for packet in track.waiting) < SHOWN


def are_too_many(strays: int, tracks: Collection[Track]) -> bool:
    """Whether a track holds back so many packets that no more may join them. While the call's clock
    is not settled, most of them may have no timestamp, and belong to a clock that follows.
    """
    return strays >= MAX_STRAYS and (strays >= MOST_FIRST or not is_unsettled(tracks))


def majority(
    tracks: Collection[Track], arrival: ArrivalClock, track: Track, packet: Timed
) -> list[Timed]:
    """Removes and returns the packets that a track holds back, with this one after them, if they
    agree by arrival that all queued ones lie in the future, and are more than those. Else returns
    none.
    """
    if not is_unsettled(tracks) or arrival.lead_us is None:
        return []
    queued = sum(one.timed for other in tracks for one in other.waiting)
    stamps = [*(stamp_us for stamp_us, _ in track.strays), packet.timestamp_us]
    arrivals = [at for at in (*track.stray_arrivals, packet.arrived_us) if at is not None]
    is_usable = UNTIMED not in stamps and len(stamps) == len(arrivals) > queued
    # a burst does not show when it was spoken
    if not is_usable or arrivals[-1] - arrivals[0] < LIVE_US:
        return []
    leads = [at + track.shift_us for at in map(lead_of, stamps, arrivals)]
    if max(leads) - min(leads) > STALL_US or max(leads) > arrival.lead_us - RELIABLE_US:
        return []
    return [*track.take_strays(), packet]


def keep_wrong(track: Track, packets: Sequence[Timed], place_us: int) -> None:
    """Keeps first packets with wrong timestamps directly before a place."""
    track.late += len(packets)
    track.keep_before([packet.pcm for packet in packets], place_us)


def to_try_again(track: Track, queued: Sequence[Timed], limit_us: int | None) -> list[Timed]:
    """Removes and returns the packets that a track holds back, with those that were `queued` before
    them. But of these, the ones that lie in the future even now are kept where they arrived.
    """
    strays = track.take_strays()
    first = strays[0]
    is_known = limit_us is not None and first.is_stamped
    latest_us = (limit_us or 0) + TOLERANCE_US - track.shift_us
    is_future = [is_known and one.timestamp_us > latest_us for one in queued]
    keep_wrong(track, [*compress(queued, is_future)], first.timestamp_us + track.shift_us)
    return [*(one for one, wrong in zip(queued, is_future, strict=True) if not wrong), *strays]


def latest_us(tracks: Collection[Track], known_us: int | None, otherwise_us: int) -> int:
    """Returns the place of the call's youngest packet: the known one, or if none has a timestamp,
    that of the last one without; of the first packet, `otherwise_us`.
    """
    if known_us is not None:
        return known_us
    places = [
        track.waiting[0].place_us
        + track.held * 1_000_000 // track.sample_rate
        - track.duration_us(track.waiting[-1].pcm)
        for track in tracks
        if track.waiting
    ]
    return max(places, default=otherwise_us)


def filled(track: Track, packets: Sequence[Timed]) -> list[Timed]:
    """Returns packets that follow one clock, those without timestamp with that of their place."""
    stamped: list[Timed] = []
    stamps = [one.timestamp_us if one.is_stamped else None for one in packets]
    for number, packet in enumerate(packets):
        if packet.is_stamped:
            stamped.append(packet)
            continue
        before = stamped[-1]
        next_us = before.timestamp_us + track.duration_us(before.pcm)
        # in a burst, the next packet may have the timestamp of the one before
        youngest_us = next((one for one in stamps[number:] if one is not None), next_us)
        next_us = max(before.timestamp_us, min(next_us, youngest_us))
        stamped.append(packet._replace(timestamp_us=next_us))
    return stamped


def number_of_wrong(
    track: Track, packets: Sequence[Timed], arrival: ArrivalClock, left_us: int
) -> int:
    """Returns how many packets of a track come before the last ones that follow one clock, with
    pauses of at most `left_us` among them, if arrival does not show their length.
    """
    is_paced = arrival.is_paced or track.arrive_live(packets[-SHOWN:])
    stamped = [number for number, packet in enumerate(packets) if packet.is_stamped]
    for number_before, number in reversed([*pairwise(stamped)]):
        before, packet = packets[number_before], packets[number]
        passed_us = packet.timestamp_us - before.timestamp_us
        longest_us = max(LOOK_AHEAD_US, left_us)
        if is_paced and before.arrived_us is not None and packet.arrived_us is not None:
            longest_us = LOOK_AHEAD_US + packet.arrived_us - before.arrived_us
        if not -LOOK_AHEAD_US < passed_us <= longest_us:
            return number
    return stamped[0] if stamped else len(packets)


def joins_strays(track: Track, packet: Timed, shift_us: int) -> bool:
    """Whether the packet looks like disorder, but continues the strays: both show a step back
    of the clock.
    """
    newest_us = track.newest_us
    return (
        shift_us == track.shift_us
        and newest_us is not None
        and packet.timestamp_us + shift_us < newest_us - TOLERANCE_US
        and track.strays[-1][0] < packet.timestamp_us <= track.strays[-1][0] + LOOK_AHEAD_US
    )


def are_consecutive(track: Track, packets: Sequence[Timed]) -> bool:
    """Whether several packets of a track have timestamps that follow one clock, and arrive as they
    are spoken: the first ones of an epoch.
    """
    is_stamped = len(packets) > 1 and all(packet.is_stamped for packet in packets)
    if not is_stamped or not track.arrive_live(packets):
        return False
    passed_us = packets[-1].timestamp_us - packets[0].timestamp_us
    length_us = sum(track.duration_us(packet.pcm) for packet in packets[:-1])
    return abs(passed_us - length_us) <= TOLERANCE_US


def recall(tracks: Collection[Track], arrival: ArrivalClock, arrived_us: int) -> int | None:
    """Moves the queued packets of all tracks that lie in the future, if one arrives now. Returns
    the youngest place.
    """
    limit_us = (arrival.limit_us(arrived_us) or 0) + TOLERANCE_US
    for track in tracks:
        _recall(track, limit_us, arrival.first_place_us or 0)
    newest_us = [track.newest_us for track in tracks if track.newest_us is not None]
    return max(newest_us, default=None)


def _recall(track: Track, limit_us: int, otherwise_us: int) -> None:
    """Moves the queued packets beyond the limit to where they arrived: directly before the next
    packet of their track, or to `otherwise_us` if there is none.

    The packets after them only seemed to be late.
    """
    first = bisect_right(track.waiting, limit_us, key=place_of)
    wrong, kept = track.waiting[first:], track.waiting[:first]
    if not wrong:
        return
    track.late += len(wrong) - len(track.late_streak.arrivals)
    track.late_streak = Streak()
    wrong.sort(key=lambda packet: packet.arrival)
    for packet in reversed(wrong):
        _insert_before_next(track, kept, packet, otherwise_us)
    track.waiting = kept
    track.newest_us = kept[-1].place_us
    track.newest_end_us = kept[-1].place_us + track.duration_us(kept[-1].pcm)
    track.counted = False


def _insert_before_next(
    track: Track, kept: list[Waiting], packet: Waiting, otherwise_us: int
) -> None:
    later = (one for one in kept if one.arrival > packet.arrival)
    following = min(later, key=lambda one: one.arrival, default=None)
    next_us = otherwise_us if following is None else following.place_us
    packet.place_us = next_us - track.duration_us(packet.pcm)
    packet.timed = True
    kept.insert(bisect_left(kept, packet.place_us, key=place_of), packet)
