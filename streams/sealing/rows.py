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
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from calls import identity
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription, database_now
from calls.times import from_microseconds, from_sample
from streams.journal.records import Handshake
from streams.sealing import gaps, ledger, queries
from streams.sealing.digest import Digest, SealedSegment, SubscriptionFacts
from streams.sealing.queries import Socket

ROWS_PER_STATEMENT = 500

_ANNOUNCED_FACTS = ["subscription_id", "encoding", "sample_rate", "channels", "length"]
_SUBSCRIPTION_FACTS = [
    *_ANNOUNCED_FACTS,
    "disconnected_at",
    "close_code",
    "audio",
    "dtmf",
    "unknown",
    "malformed",
    "duplicate",
    "late",
]

Heard = tuple[datetime | None, datetime | None]
"""A participant's `heard_at` and `heard_until`."""

Voice = tuple[UUID, UUID, str]
"""Call, participant, raw id."""


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
class Announcement:
    """Facts of an open socket."""

    handshake: Handshake
    subscriptions: Collection[SubscriptionFacts]
    voices: Collection[str]


@dataclass(frozen=True, slots=True)
class Addition:
    """Everything that one journal file adds. `last_us`: time of the socket's last record."""

    digest: Digest
    subscriptions: Collection[SubscriptionFacts]
    segments: Sequence[StoredSegment]
    voices: Collection[str]
    last_us: int

    @property
    def handshake(self) -> Handshake:
        return self.digest.handshake

    @property
    def call_id(self) -> UUID:
        return UUID(self.handshake.call_id)

    def extents(self) -> dict[Voice, Heard]:
        """Returns each voice of the file with the time of its first and last sample in it."""
        heard: dict[str, Heard] = dict.fromkeys(self.voices, (None, None))
        for stored in self.segments:
            segment = stored.segment
            first = from_sample(segment.start_sample, segment.sample_rate)
            last = from_sample(segment.end_sample, segment.sample_rate)
            heard[segment.raw_id] = _united(heard.get(segment.raw_id, (None, None)), (first, last))
        return {voice: heard[voice[2]] for voice in _voices(self.handshake, heard)}


class OverlapFound(DatabaseError):
    """Two sockets of a call wrote audio for the same position: nothing was written, and a retry
    finds the other's audio.
    """


def announce(announcements: Iterable[Announcement]) -> None:
    """Writes calls, their subscriptions and their participants as soon as a socket is open. Counts
    and closing are left unchanged.
    """
    announcements = list(announcements)
    with transaction.atomic():
        started = _lock_calls(one.handshake for one in announcements)
        rows = _subscription_rows(announcements)
        sockets = queries.sockets_of({one.handshake.call_id for one in announcements})
        queries.assign_positions(rows, sockets)
        _correct_starts(started, rows, sockets)
        for row in rows:
            row.seen_at = database_now()
        _write_subscriptions(rows, _ANNOUNCED_FACTS)
        unheard = {
            key: (None, None) for one in announcements for key in _voices(one.handshake, one.voices)
        }
        Participant.objects.bulk_create(
            _participant_rows(unheard), ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT
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
    with transaction.atomic():
        started = _lock_calls(one.handshake for one in additions)
        subscriptions = _subscription_rows(additions)
        sockets = queries.sockets_of({one.handshake.call_id for one in additions})
        queries.assign_positions(subscriptions, sockets)
        _correct_starts(started, subscriptions, sockets)
        others = queries.reconnects_among(subscriptions, sockets)
        _check_overlaps([one for one in additions if one.handshake.call_id in others])
        _write_subscriptions(subscriptions, _SUBSCRIPTION_FACTS)
        _write_participants(additions)
        rows = [
            _segment_row(one.handshake, stored, now) for one in additions for stored in one.segments
        ]
        Segment.objects.bulk_create(rows, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)
        entries = [entry for one in additions for entry in _entries(one, others)]
        LedgerEntry.objects.bulk_create(
            entries, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT
        )


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
    segments = [stored.segment for stored in addition.segments]
    yield from gaps.reconciled_gaps(digest, segments, addition.voices)
    if handshake.sequence == 0 and others[handshake.call_id]:
        yield LedgerEntry(
            id=identity.entry_id_of(UUID(handshake.stream_id), LedgerEntry.Kind.RECONNECT, 0),
            call_id=addition.call_id,
            kind=LedgerEntry.Kind.RECONNECT,
            started_at=from_microseconds(handshake.connected_at_us),
        )


def _lock_calls(handshakes: Iterable[Handshake]) -> dict[UUID, datetime]:
    """Creates the missing calls, and locks all of them against other processes until our rows are
    committed. Returns when they started.

    The lock comes before any row that refers to a call, and in a mode that does not conflict with
    such rows: otherwise two processes could wait for each other.
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
            )
    Call.objects.bulk_create(calls.values(), ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)
    locked = Call.objects.select_for_update(no_key=True).filter(id__in=calls).order_by("id")
    return dict(locked.values_list("id", "started_at"))


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


def _check_overlaps(additions: Sequence[Addition]) -> None:
    """Raises `OverlapFound` if another process has stored audio at the position of one of our
    segments since that was chosen.
    """
    segments = [[stored.segment for stored in one.segments] for one in additions]
    near = queries.stored_near(zip((one.handshake for one in additions), segments, strict=True))
    for one, of_file in zip(additions, segments, strict=True):
        for segment in of_file:
            for start, end, _ in near.get(
                identity.participant_id_of(one.call_id, segment.raw_id), ()
            ):
                if start < segment.end_sample and segment.start_sample < end:
                    raise OverlapFound


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
    connected_at = from_microseconds(facts.connected_us)
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
        disconnected_at=None
        if facts.disconnected_us is None
        else from_microseconds(facts.disconnected_us),
        close_code=facts.close_code,
        audio=facts.audio,
        dtmf=facts.dtmf,
        unknown=facts.unknown,
        malformed=facts.malformed,
        duplicate=facts.duplicate,
        late=facts.late,
    )


def _write_participants(additions: Sequence[Addition]) -> None:
    """Writes missing participants, and `heard_at` and `heard_until` of those with audio: the time
    between them only grows.

    Rows are read and written again, rather than compared by the database: the lock on the call
    keeps all other processes out.
    """
    heard = {key: extent for one in additions for key, extent in one.extents().items()}
    ids = {participant_id for _, participant_id, _ in heard}
    known: dict[UUID, Heard] = {
        participant_id: (first, last)
        for participant_id, first, last in Participant.objects.filter(id__in=ids)
        .order_by()
        .values_list("id", "heard_at", "heard_until")
    }
    changed = {}
    for key, extent in heard.items():
        before = known.get(key[1])
        wider = _united(extent, before or (None, None))
        if wider != before:
            changed[key] = wider
    Participant.objects.bulk_create(
        _participant_rows(changed),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["heard_at", "heard_until"],
        batch_size=ROWS_PER_STATEMENT,
    )


def _voices(handshake: Handshake, raw_ids: Iterable[str]) -> list[Voice]:
    call_id = UUID(handshake.call_id)
    return [
        (call_id, identity.participant_id_of(call_id, raw_id), raw_id)
        for raw_id in sorted(set(raw_ids))
    ]


def _united(one: Heard, other: Heard) -> Heard:
    firsts = [first for first, _ in (one, other) if first is not None]
    lasts = [last for _, last in (one, other) if last is not None]
    return min(firsts, default=None), max(lasts, default=None)


def _participant_rows(heard: Mapping[Voice, Heard]) -> list[Participant]:
    return [
        Participant(
            id=participant_id,
            call_id=call_id,
            raw_id=raw_id,
            kind=identity.kind_of(raw_id),
            heard_at=first,
            heard_until=last,
        )
        for (call_id, participant_id, raw_id), (first, last) in heard.items()
    ]


def _segment_row(handshake: Handshake, stored: StoredSegment, now: datetime) -> Segment:
    segment = stored.segment
    participant_id = identity.participant_id_of(UUID(handshake.call_id), segment.raw_id)
    return Segment(
        id=identity.segment_id_of(participant_id, segment.start_sample),
        participant_id=participant_id,
        subscription_id=identity.subscription_row_id(
            UUID(handshake.stream_id), segment.subscription
        ),
        journal=handshake.sequence,
        start_sample=segment.start_sample,
        sample_count=segment.sample_count,
        sample_rate=segment.sample_rate,
        sha256=stored.sha256,
        peak_dbfs=stored.peak_dbfs,
        rms_dbfs=stored.rms_dbfs,
        audio_name=stored.audio_name,
        stored_bytes=stored.stored_bytes,
        sealed_at=now,
        peaks=stored.peaks,
    )
