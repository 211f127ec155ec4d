"""Queries that sealing needs before it writes, each batched over many files.

Results may be stale: `rows.write` checks again under its lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import BigIntegerField, F, Min, Q
from django.db.models.functions import Cast
from msgspec import convert, structs

from calls import identity
from calls.identity import CallLink
from calls.models import Participant, Segment, Subscription, database_now
from calls.models.continuations import going_on, latest_calls
from calls.times import from_microseconds, to_microseconds
from streams.journal.records import Handshake
from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.open_time import STEP_US, TOUCH_US
from streams.sealing.overlaps.other_clock import OtherRow
from streams.sealing.overlaps.placement import FAR_US, Move, Stored
from streams.timeline.arrival import ArrivalClock
from streams.timeline.socket_clock import SocketClock
from streams.timeline.timeline import Timeline
from streams.timeline.track import Track
from streams.timeline.waiting import PACKET_US

FAR_SECONDS = math.ceil(FAR_US / 1_000_000)
"""Between equal packets of two sockets, at most."""

STEP = timedelta(microseconds=STEP_US)
"""A socket that has an earlier position, but connected this much later by the clock, is one whose
host has another time. With less, it may be our socket that became a row late, because its process
could not reach the database; audio that is placed after its own future would be shifted.
"""


def sealed_among(files: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    """Returns the journal files (stream, sequence) whose segments are rows already: the process
    died before it deleted the file.
    """
    conditions = [
        Q(subscription__stream_id=stream_id, journal=sequence) for stream_id, sequence in files
    ]
    if not conditions:
        return set()
    found = (
        Segment.objects.filter(reduce(or_, conditions))
        .order_by()
        .values_list("subscription__stream_id", "journal")
    )
    return {(str(stream_id), sequence) for stream_id, sequence in found.distinct()}


def duplicates_of(stream_id: str, index: int) -> int:
    """Returns the duplicates counted so far for a subscription that has a row."""
    row: Subscription = Subscription.objects.get(
        id=identity.subscription_row_id(UUID(stream_id), index)
    )
    return row.duplicate


def other_sockets(handshakes: Collection[Handshake]) -> dict[str, datetime]:
    """Returns the connection time of the earliest other socket, by call id; calls without another
    socket are left out.
    """
    others = Subscription.objects.filter(
        call_id__in={handshake.call_id for handshake in handshakes}
    ).exclude(stream_id__in={handshake.stream_id for handshake in handshakes})
    earliest = others.order_by().values_list("call_id").annotate(earliest=Min("connected_at"))
    return {str(call_id): connected_at for call_id, connected_at in earliest}


def decided(handshakes: Sequence[Handshake]) -> list[Handshake]:
    """Returns the handshakes. One that is a guess, because the database could not be asked when its
    socket opened, is replaced: if the latest call of its connection id had ended by then, it begins
    a new one.
    """
    guesses = {one.stream_id: one for one in handshakes if one.is_guess}
    if not guesses:
        return [*handshakes]
    columns = ("stream_id", "call__continuation", "call", "call__continued_from_id")
    rows = Subscription.objects.filter(stream_id__in=guesses).order_by()
    places = {
        str(stream_id): (call_id, number, former_id)  # decided before
        for stream_id, number, call_id, former_id in rows.values_list(*columns)
    }
    new = [one for stream_id, one in guesses.items() if stream_id not in places]
    latest = latest_calls({UUID(one.call_id): one.call_connection_id for one in new})
    for one in new:
        link = latest.get(UUID(one.call_id), CallLink(UUID(one.call_id)))
        # Its age, by the clock that gave it the time, says when it opened by the database's clock.
        age = timedelta(microseconds=max(0, time.time_ns() // 1000 - one.connected_at_us))
        if link in latest.values() and not going_on([link], [one.stream_id], database_now() - age):
            link = link.following
        places[one.stream_id] = link.id, link.number, link.continued_from
    return [_in_call(one, *places[one.stream_id]) if one.is_guess else one for one in handshakes]


def _in_call(handshake: Handshake, call_id: UUID, number: int, former_id: UUID | None) -> Handshake:
    return structs.replace(
        handshake,
        call_id=str(call_id),
        continuation=number,
        continued_from=str(former_id or ""),
        is_guess=False,
    )


class Socket(NamedTuple):
    """A row of a socket; it has several if it had several AudioMetadata. `position`: None in rows
    of older versions.
    """

    call_id: UUID
    stream_id: UUID
    position: int | None
    connected_at: datetime
    disconnected_at: datetime | None = None


def sockets_of(call_ids: Collection[str]) -> list[Socket]:
    """Returns the sockets that the calls have so far."""
    sockets = Subscription.objects.filter(call_id__in=call_ids).order_by()
    return [Socket(*row) for row in sockets.values_list(*Socket._fields)]


def assign_positions(
    rows: Collection[Subscription], sockets: Iterable[Socket], *, announced: bool
) -> None:
    """Numbers the sockets of each call in the order in which they connected. `announced`: they are
    open, and not known from files that are sealed.

    An open socket becomes a row within a second, so a new one is the latest, whatever a clock says.
    One whose first file is sealed before that (it was short, the database was unreachable, or its
    process died) has its place by the clock: two sockets with one position are ordered by their
    ends.
    """
    known: dict[UUID, dict[UUID, tuple[int, datetime]]] = {row.call_id: {} for row in rows}
    for socket in sockets:
        if socket.position is not None:
            known[socket.call_id][socket.stream_id] = socket.position, socket.connected_at
    for row in sorted(rows, key=lambda row: row.connected_at):
        of_call = known[row.call_id]
        if row.stream_id not in of_call:
            later = [
                position
                for position, connected_at in of_call.values()
                if not announced and row.connected_at < connected_at
            ]
            latest = max((position for position, _ in of_call.values()), default=0)
            position = min(later) - 1 if later else latest + 1
            of_call[row.stream_id] = position, row.connected_at
        row.position = of_call[row.stream_id][0]


def reconnects_among(rows: Collection[Subscription], sockets: Iterable[Socket]) -> dict[str, bool]:
    """Returns whether another socket of the call connected before those of the `rows`, by call id;
    calls without another socket are left out.
    """
    own = {row.call_id: row for row in sorted(rows, key=lambda row: row.connected_at, reverse=True)}
    found: dict[str, bool] = {}
    for socket in sockets:
        row = own[socket.call_id]
        if socket.stream_id == row.stream_id:
            continue
        is_before = (socket.position or 0, socket.connected_at) < (row.position, row.connected_at)
        found[str(row.call_id)] = found.get(str(row.call_id), False) or is_before
    return found


def connected_before(one: Handshake, other: Handshake) -> bool:
    """Whether a socket connected before the other: by the clock or, if that is out by `STEP`, by
    their positions.
    """
    ahead_us = one.connected_at_us - other.connected_at_us
    if abs(ahead_us) < STEP // timedelta(microseconds=1):
        return ahead_us < 0
    positions = _positions([one.stream_id, other.stream_id])
    first, second = positions.get(one.stream_id), positions.get(other.stream_id)
    if first is None or second is None or first == second:
        return ahead_us < 0
    return first < second


def unended_before(handshake: Handshake, sockets: Iterable[Socket]) -> set[str]:
    """Returns those of the sockets that connected before this one to the same call, by their
    positions or else by the clock, and have no end yet.
    """
    first: dict[UUID, Socket] = {}
    rows = [one for one in sockets if one.call_id == UUID(handshake.call_id)]
    for row in sorted(rows, key=lambda row: row.connected_at):
        first.setdefault(row.stream_id, row)
    own = first.pop(UUID(handshake.stream_id), None)
    position, connected_at = own and own.position, from_microseconds(handshake.connected_at_us)
    before = {
        other.stream_id
        for other in first.values()
        if (
            other.connected_at < connected_at
            if position is None or other.position is None
            else (other.position, other.connected_at) < (position, connected_at)
        )
    }
    return {
        str(row.stream_id) for row in rows if row.stream_id in before and not row.disconnected_at
    }


def _positions(stream_ids: Collection[str]) -> dict[str, int]:
    rows = Subscription.objects.filter(stream_id__in=stream_ids, position__isnull=False)
    found = rows.order_by().values_list("stream_id", "position")
    return {str(stream_id): position for stream_id, position in found if position is not None}


STORED = (
    "id",
    "subscription__stream_id",
    "stamps",
    "start_sample",
    "sample_count",
    "sample_rate",
    "sha256",
    "audio_name",
)
"""Columns of `Stored`."""


def stored_near(
    files: Iterable[tuple[Handshake, Sequence[SealedSegment | Move]]],
) -> dict[UUID, list[Stored]]:
    """Returns the stored segments that the segments of each file may overlap, in order, by
    participant.

    They include audio of the socket itself, which may have been moved behind another's. The range
    has no end, because an overlap moves all stored audio that follows without a space, however long
    that is.
    """
    ranges = []
    for handshake, segments in files:
        if segments:
            call_id = UUID(handshake.call_id)
            raw_ids = {segment.raw_id for segment in segments}
            ids = {identity.participant_id_of(call_id, raw_id) for raw_id in raw_ids}
            first = min(segment.start_sample // segment.sample_rate for segment in segments)
            seconds = first - math.ceil(handshake.segment_seconds) - FAR_SECONDS
            start = Cast("sample_rate", BigIntegerField()) * seconds  # each rate has its positions
            ranges.append(Q(participant__in=ids, start_sample__gt=start))
    if not ranges:
        return {}
    found = Segment.objects.filter(reduce(or_, ranges)).order_by("start_sample")
    stored: dict[UUID, list[Stored]] = {}
    for participant_id, *values in found.values_list("participant_id", *STORED):
        stored.setdefault(participant_id, []).append(_stored(*values))
    return stored


def stored_by(stream_ids: Collection[str]) -> list[OtherRow]:
    """Returns all segments that these sockets have stored."""
    found = Segment.objects.filter(subscription__stream_id__in=stream_ids).order_by("start_sample")
    return [
        OtherRow(raw_id, journal, _stored(*values))
        for raw_id, journal, *values in found.values_list("participant__raw_id", "journal", *STORED)
    ]


def stored_as(segment_ids: Collection[UUID]) -> list[Stored]:
    """Returns the segments with these ids."""
    if not segment_ids:
        return []
    found = Segment.objects.filter(id__in=segment_ids).order_by()
    return [_stored(*values) for values in found.values_list(*STORED)]


def _stored(segment_id: UUID, stream_id: UUID, stamps: Any, *values: Any) -> Stored:
    kept = None if stamps is None else bytes(stamps)  # a memoryview, by the driver
    return Stored(segment_id, str(stream_id), kept, *values)


def open_beside(handshake: Handshake, until_us: int | None) -> dict[str, int | None]:
    """Returns the other sockets of the call that were open while a socket was, or touch it: from
    its handshake to `until_us`; None: it still is. And when they ended, if they have.
    """
    sockets = Subscription.objects.filter(call_id=handshake.call_id).order_by()
    sockets = sockets.exclude(stream_id=handshake.stream_id).exclude(
        disconnected_at__lt=from_microseconds(handshake.connected_at_us - TOUCH_US)
    )
    if until_us is not None:
        sockets = sockets.filter(connected_at__lte=from_microseconds(until_us + TOUCH_US))
    return {
        str(stream_id): None if ended_at is None else to_microseconds(ended_at)
        for stream_id, ended_at in sockets.values_list("stream_id", "disconnected_at")
    }


def axes_of(handshakes: Collection[Handshake]) -> list[Timeline]:
    """Returns the axis of each call before this file, as the database has it; empty without audio.

    It contains the end of each track, so that time without a socket is a gap and no audio overlaps.
    Only sockets that were closed before this one opened count: `overlaps` handles those that were
    open at the same time, or touch it.
    """
    if not handshakes:
        return []
    heard: dict[str, list[Participant]] = {}
    calls = {handshake.call_id for handshake in handshakes}
    for participant in Participant.objects.filter(call_id__in=calls).exclude(heard_until=None):
        heard.setdefault(str(participant.call_id), []).append(participant)
    positions = _positions([one.stream_id for one in handshakes]) if heard else {}
    return [
        _axis(one, heard.get(one.call_id, ()), positions.get(one.stream_id)) for one in handshakes
    ]


def _axis(
    handshake: Handshake, participants: Iterable[Participant], position: int | None
) -> Timeline:
    stream_id, before = UUID(handshake.stream_id), _before(handshake, position)
    clock = _clock_before(handshake, position) if participants else None
    timeline = Timeline() if clock is None else Timeline(epochs=clock.epochs_us)
    is_known = clock is not None and clock.lead_us is not None
    if clock is not None and is_known:  # as a socket leaves it
        timeline.arrival = ArrivalClock(clock.lead_us, latest_arrived_us=clock.arrived_us, heard=0)
    for participant in participants:
        stored = Segment.objects.filter(before, participant=participant)
        seconds = F("start_sample") * 1.0 / F("sample_rate")  # rates may differ
        last = stored.select_related("subscription").order_by(seconds.desc()).first()
        if last is None:
            continue
        reason = "not_received" if last.subscription.stream_id == stream_id else "not_connected"
        until_us = to_microseconds(last.ended_at)
        timeline.tracks[participant.raw_id] = track = Track(
            last.sample_rate,
            end=last.start_sample + last.sample_count,
            gap_reason=reason,
            shift_us=timeline.epochs[-1],
        )
        if clock is not None:
            track.newest_us, track.newest_end_us = until_us - PACKET_US, until_us
        timeline.latest_us = max(timeline.latest_us or until_us, until_us)
        ended_at = last.subscription.disconnected_at
        if ended_at and not is_known:  # its last packet arrived before that
            timeline.arrival.assume(until_us, to_microseconds(ended_at))
    return timeline


def _clock_before(handshake: Handshake, position: int | None) -> SocketClock | None:
    """Returns what the call's sockets knew last of its clocks before this file; None if no row of
    this version tells it.
    """
    own = Q(stream_id=UUID(handshake.stream_id))
    connected_at = from_microseconds(handshake.connected_at_us)
    earlier = Q(connected_at__lt=connected_at)
    if position is not None:  # as in `connected_before`
        earlier |= Q(position__lt=position, connected_at__gte=connected_at + STEP)
    found = Subscription.objects.filter(own | earlier, call_id=handshake.call_id)
    row = found.exclude(clock=None).latest_first().first()
    return None if row is None else convert(row.clock, SocketClock)


def _before(handshake: Handshake, position: int | None) -> Q:
    """Selects the segments of files and sockets before this file."""
    own = Q(subscription__stream_id=UUID(handshake.stream_id))
    connected_at = from_microseconds(handshake.connected_at_us)
    earlier = Q(
        subscription__connected_at__lt=connected_at,
        subscription__disconnected_at__lt=from_microseconds(handshake.connected_at_us - TOUCH_US),
    )
    if position is not None:  # as in `connected_before`
        earlier |= Q(
            subscription__position__lt=position,
            subscription__connected_at__gte=connected_at + STEP,
            subscription__disconnected_at__isnull=False,
        )
    return (own & Q(journal__lt=handshake.sequence)) | (earlier & ~own)
