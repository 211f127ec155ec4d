"""Rows derived from journals, so that writing them again changes nothing.

Audio is in the store before any of this runs. State is never stored; times and counts come from
the journal.

Many files take one statement for each table, because a statement costs more than its rows. Two
processes may write to the same calls at the same time without a deadlock: calls are created in the
order of their ids, then locked in that order, and all later statements concern rows of locked calls
only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from calls import identity
from calls.models import Call, LedgerEntry, Segment, Subscription, database_now
from calls.models.continuations import create_and_lock
from calls.notifications.call_events import of_new_calls
from calls.times import from_microseconds, from_sample
from streams.journal.records import Handshake
from streams.sealing import gaps, ledger, participants, queries
from streams.sealing.digest import Digest, SealedSegment, SubscriptionFacts
from streams.sealing.overlaps import changes
from streams.sealing.overlaps.layout import have_overlaps
from streams.sealing.overlaps.placement import Move, Stored
from streams.sealing.participants import Heard, Voice, by_voice, unheard, united
from streams.sealing.queries import Socket

ROWS_PER_STATEMENT = 500

_ANNOUNCED_FACTS = ["subscription_id", "encoding", "sample_rate", "channels", "length"]
_SUBSCRIPTION_FACTS = [
    *_ANNOUNCED_FACTS,
    "disconnected_at",
    "end_seen_at",
    "close_code",
    "audio",
    "dtmf",
    "unknown",
    "malformed",
    "duplicate",
    "late",
    "odd_timestamp",
    "clock",
]


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment whose audio is in the store."""

    segment: SealedSegment
    sha256: str
    peak_dbfs: float
    rms_dbfs: float
    audio_name: str
    stored_bytes: int
    peaks: bytes


@dataclass(frozen=True, slots=True)
class StoredCut:
    """A stored segment, and the pieces that replace it."""

    stored: Stored
    pieces: Sequence[StoredSegment]


@dataclass(frozen=True, slots=True)
class Announcement:
    """Facts of an open socket; `voices` in the order of arrival."""

    handshake: Handshake
    subscriptions: Collection[SubscriptionFacts]
    voices: Collection[str]


@dataclass(frozen=True, slots=True)
class Addition:
    """Everything that one journal file adds, and the stored segments that it moves or cuts.
    `voices`: of the socket, in the order of arrival; `last_us`: time of its last record; `vacated`:
    stored segments, where they were, that another clock had put there.
    """

    digest: Digest
    subscriptions: Collection[SubscriptionFacts]
    segments: Sequence[StoredSegment]
    voices: Collection[str]
    last_us: int
    moves: Sequence[Move] = ()
    cuts: Sequence[StoredCut] = ()
    vacated: Sequence[Move] = ()

    @property
    def handshake(self) -> Handshake:
        return self.digest.handshake

    @property
    def call_id(self) -> UUID:
        return UUID(self.handshake.call_id)

    def extents(self) -> dict[Voice, Heard]:
        """Returns each voice of the file with the time of its first and last sample in it, or in
        the audio that it moves.
        """
        heard = unheard(self.voices)
        for one in self.placed():
            first = from_sample(one.start_sample, one.sample_rate)
            last = from_sample(one.end_sample, one.sample_rate)
            before = heard.get(one.raw_id, (None, None, None))
            heard[one.raw_id] = united(before, (first, last, before[2]))
        return by_voice(self.handshake, heard)

    def placed(self) -> list[SealedSegment | Move]:
        """Returns everything that gets a position: new, cut and moved segments."""
        cut = [piece for one in self.cuts for piece in one.pieces]
        return [*self.moves, *(stored.segment for stored in [*self.segments, *cut])]

    def changed(self) -> list[Stored]:
        """Returns the stored segments that it moves or cuts."""
        return [*(one.stored for one in self.moves), *(one.stored for one in self.cuts)]


class OverlapFound(DatabaseError):
    """Two sockets of a call wrote audio for the same position: nothing was written, and a retry
    finds the other's audio.
    """


def announce(announcements: Iterable[Announcement]) -> None:
    """Writes calls, their subscriptions and their participants as soon as a socket is open. Counts
    and closing are left unchanged.
    """
    announcements = list(announcements)
    with transaction.atomic(), of_new_calls(one.handshake.call_id for one in announcements):
        rows, _ = _lock_and_number(announcements, announced=True)
        for row in rows:
            row.seen_at = database_now()
        _write_subscriptions(rows, _ANNOUNCED_FACTS)
        participants.add_missing(
            {
                voice: heard
                for one in announcements
                for voice, heard in by_voice(one.handshake, unheard(one.voices)).items()
            }
        )


def vouch_for(stream_ids: Sequence[str], now: datetime | Now) -> None:
    """Writes the heartbeat of the sockets that this process holds open, in one statement."""
    Subscription.objects.filter(stream_id__in=stream_ids, disconnected_at=None).update(seen_at=now)


def write(additions: Iterable[Addition], now: datetime) -> None:
    """Writes everything that the journal files add, each of another call: all or nothing.

    Raises `OverlapFound` and `django.db.Error`.
    """
    additions = list(additions)
    assert len({one.call_id for one in additions}) == len(additions), (
        "a file's rows build on those of the file before it"
    )
    with transaction.atomic(), of_new_calls(one.handshake.call_id for one in additions):
        subscriptions, sockets = _lock_and_number(additions, announced=False)
        others = queries.reconnects_among(subscriptions, sockets)
        used = _check_overlaps([one for one in additions if one.handshake.call_id in others])
        _write_subscriptions(subscriptions, _SUBSCRIPTION_FACTS)
        participants.write(
            {voice: heard for one in additions for voice, heard in one.extents().items()}
        )
        _change_rows(additions, used, now)
        rows = [
            _segment_row(one.handshake, stored, used, now)
            for one in additions
            for stored in one.segments
        ]
        Segment.objects.bulk_create(rows, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)
        for one in additions:
            _leave(one)
        _write_entries([entry for one in additions for entry in _entries(one, others)])
        ledger.mark_calls([one.digest for one in additions])


def _write_entries(entries: Sequence[LedgerEntry]) -> None:
    """Writes ledger entries. One that exists stays as it is, except for an alarm that has ended."""
    LedgerEntry.objects.bulk_create(entries, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)
    for entry in entries:
        if entry.kind == LedgerEntry.Kind.ALARM and entry.ended_at:
            active = LedgerEntry.objects.filter(id=entry.id, ended_at=None)
            active.update(ended_at=entry.ended_at)


def _entries(addition: Addition, others: Mapping[str, bool]) -> Iterator[LedgerEntry]:
    """Yields the ledger entries of a file. `others`: whether another socket connected earlier, by
    id of calls that have another.
    """
    handshake, digest = addition.handshake, addition.digest
    yield from ledger.clock_entries(digest)
    yield from ledger.socket_entries(digest, addition.last_us)
    yield from ledger.alarm_entries(digest)
    if handshake.call_id not in others:  # a single socket finds all gaps in its own audio
        yield from ledger.gaps_of(digest)
        return
    placed = [*addition.placed(), *addition.vacated]
    yield from gaps.reconciled_gaps(digest, placed, addition.voices)
    if handshake.sequence == 0 and others[handshake.call_id]:
        yield LedgerEntry(
            id=identity.entry_id_of(UUID(handshake.stream_id), LedgerEntry.Kind.RECONNECT, 0),
            call_id=addition.call_id,
            kind=LedgerEntry.Kind.RECONNECT,
            started_at=from_microseconds(handshake.connected_at_us),
        )


def _lock_and_number(
    sources: Collection[Addition | Announcement], *, announced: bool
) -> tuple[list[Subscription], list[Socket]]:
    """Locks the calls; returns the rows of their subscriptions, numbered in the order of the
    sockets, and the sockets that they had before.
    """
    started = _lock_calls(one.handshake for one in sources)
    rows = _subscription_rows(sources)
    sockets = queries.sockets_of({one.handshake.call_id for one in sources})
    queries.assign_positions(rows, sockets, announced=announced)
    _correct_starts(started, rows, sockets)
    return rows, sockets


def _lock_calls(handshakes: Iterable[Handshake]) -> dict[UUID, datetime]:
    """Creates the missing calls, and locks all of them until our rows are committed. Returns when
    they started.
    """
    calls: dict[UUID, Call] = {}
    for handshake in sorted(handshakes, key=lambda one: (one.call_id, one.connected_at_us)):
        call_id = UUID(handshake.call_id)
        if call_id not in calls:
            calls[call_id] = Call(
                id=call_id,
                call_connection_id=handshake.call_connection_id,
                correlation_id=handshake.correlation_id,
                started_at=from_microseconds(handshake.connected_at_us),
                continuation=handshake.continuation,
                continued_from_id=UUID(handshake.continued_from)
                if handshake.continued_from
                else None,
            )
    return create_and_lock(calls.values())


def _correct_starts(
    started: Mapping[UUID, datetime], rows: Iterable[Subscription], sockets: Iterable[Socket]
) -> None:
    """Corrects the start of calls whose first socket becomes a row after a later one. A later
    socket with an earlier time has the time of a clock that was set back.
    """
    first: dict[UUID, int] = {}
    for socket in sockets:
        if socket.position is not None:
            first[socket.call_id] = min(socket.position, first.get(socket.call_id, socket.position))
    earliest = dict(started)
    for row in rows:
        assert row.position is not None, "it has been assigned"
        is_first = row.position <= first.get(row.call_id, row.position)
        if is_first or started[row.call_id] - row.connected_at < queries.STEP:
            earliest[row.call_id] = min(row.connected_at, earliest[row.call_id])
    for call_id, started_at in earliest.items():
        if started_at < started[call_id]:
            Call.objects.filter(id=call_id).update(started_at=started_at)


def _check_overlaps(additions: Sequence[Addition]) -> set[UUID]:
    """Raises `OverlapFound` if another process has stored or moved audio at the positions of our
    segments since these were chosen. Returns the ids in use near them.
    """
    near = queries.stored_near((one.handshake, one.placed()) for one in additions)
    stored = {row.segment_id: row for of_track in near.values() for row in of_track}
    changed_ids = {row.segment_id for one in additions for row in one.changed()}
    stored |= {row.segment_id: row for row in queries.stored_as(changed_ids - stored.keys())}
    for one in additions:
        if any(stored.get(row.segment_id) != row for row in one.changed()):
            raise OverlapFound
        changed = set(one.changed())
        placed: dict[str, list[tuple[int, int]]] = {}
        for segment in one.placed():
            placed.setdefault(segment.raw_id, []).append((segment.start_sample, segment.end_sample))
        for raw_id, ours in placed.items():
            of_track = near.get(identity.participant_id_of(one.call_id, raw_id), ())
            theirs = [(row.start_sample, row.end_sample) for row in of_track if row not in changed]
            if have_overlaps(ours, theirs):
                raise OverlapFound
    return set(stored) - {cut.stored.segment_id for one in additions for cut in one.cuts}


def _change_rows(additions: Collection[Addition], used: Collection[UUID], now: datetime) -> None:
    """Moves and cuts stored segments, before the new ones are inserted."""
    moves = [move for one in additions for move in one.moves]
    replacements = [
        changes.Replacement(cut.stored, [_audio_columns(piece) for piece in cut.pieces])
        for one in additions
        for cut in one.cuts
    ]
    changes.change(moves, replacements, used, now)


def _leave(addition: Addition) -> None:
    """Corrects what was derived from segments at places where they are no longer."""
    back = [one for one in addition.moves if one.start_sample < one.stored.start_sample]
    raw_ids = {one.raw_id for one in (*addition.vacated, *back)}
    raw_ids |= {piece.segment.raw_id for cut in addition.cuts for piece in cut.pieces}
    ids = {one: identity.participant_id_of(addition.call_id, one) for one in raw_ids}
    for one in addition.vacated:
        gaps.delete_beside(ids[one.raw_id], one)
    participants.correct(ids.values())


def _subscription_rows(sources: Iterable[Addition | Announcement]) -> list[Subscription]:
    """Returns the rows of all subscriptions; the last one given wins."""
    rows = [
        _subscription_row(one.handshake, facts) for one in sources for facts in one.subscriptions
    ]
    return list({row.id: row for row in rows}.values())


def _write_subscriptions(rows: Iterable[Subscription], columns: Sequence[str]) -> None:
    """Writes the rows; of those that exist, the `columns`."""
    Subscription.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=columns,
        batch_size=ROWS_PER_STATEMENT,
    )


def _subscription_row(handshake: Handshake, facts: SubscriptionFacts) -> Subscription:
    connected_at, ended_us = from_microseconds(facts.connected_us), facts.disconnected_us
    return Subscription(
        id=identity.subscription_row_id(UUID(handshake.stream_id), facts.index),
        call_id=UUID(handshake.call_id),
        stream_id=UUID(handshake.stream_id),
        subscription_id=facts.subscription_id,
        encoding=facts.encoding,
        sample_rate=facts.sample_rate,
        channels=facts.channels,
        length=facts.length,
        connected_at=connected_at,
        seen_at=connected_at,
        disconnected_at=None if ended_us is None else from_microseconds(ended_us),
        end_seen_at=None if ended_us is None else database_now(),
        close_code=facts.close_code,
        audio=facts.audio,
        dtmf=facts.dtmf,
        unknown=facts.unknown,
        malformed=facts.malformed,
        duplicate=facts.duplicate,
        late=facts.late,
        odd_timestamp=facts.odd_timestamp,
        clock=None if facts.clock is None else msgspec.to_builtins(facts.clock),
    )


def _segment_row(
    handshake: Handshake, stored: StoredSegment, used: Collection[UUID], now: datetime
) -> Segment:
    segment = stored.segment
    participant_id = identity.participant_id_of(UUID(handshake.call_id), segment.raw_id)
    return Segment(
        id=changes.segment_id_of(participant_id, segment.start_sample, stored.sha256, used),
        participant_id=participant_id,
        subscription_id=identity.subscription_row_id(
            UUID(handshake.stream_id), segment.subscription
        ),
        journal=handshake.sequence,
        sealed_at=now,
        **_audio_columns(stored),
    )


def _audio_columns(stored: StoredSegment) -> dict[str, Any]:
    return {
        "start_sample": stored.segment.start_sample,
        "sample_count": stored.segment.sample_count,
        "sample_rate": stored.segment.sample_rate,
        "sha256": stored.sha256,
        "peak_dbfs": stored.peak_dbfs,
        "rms_dbfs": stored.rms_dbfs,
        "audio_name": stored.audio_name,
        "stored_bytes": stored.stored_bytes,
        "peaks": stored.peaks,
        "stamps": stored.segment.stamps,
    }
