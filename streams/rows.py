"""From what a journal says to rows: one transaction per file, every row derived, so writing it again changes nothing.

Audio is in the store before any of this runs. State is never stored; times and counts are taken from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import F, Q

from calls import identity, waveform
from calls.models import EPOCH, Call, LedgerEntry, Participant, Segment, Subscription
from streams import ledger, sealing, seats
from streams.journal import Handshake
from streams.ledger import moment
from streams.sealing import Digest, SubscriptionFacts
from streams.timeline import Timeline
from streams.track import Track

HIGHEST_RATE = 96_000
"""Hz, as `protocol.SAMPLE_RATES` accepts: bounds how long a stored segment can be, in samples."""

_SUBSCRIPTION_FACTS = [
    "subscription_id",
    "encoding",
    "sample_rate",
    "channels",
    "length",
    "disconnected_at",
    "close_code",
    "audio",
    "dtmf",
    "unknown",
    "malformed",
    "duplicate",
    "late",
]


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment whose audio is in the store."""

    segment: sealing.Segment
    sha256: str
    peak_dbfs: float
    rms_dbfs: float
    audio_name: str
    stored_bytes: int


class PlaceTaken(DatabaseError):
    """Two sockets of a call met at one place: nothing was written, the next try sees the other's audio."""


def is_sealed(stream_id: str, sequence: int) -> bool:
    """Whether segments of this journal file are rows already: the process died before it deleted the file."""
    return Segment.objects.filter(subscription__stream_id=stream_id, journal=sequence).exists()


def duplicates_of(stream_id: str, index: int) -> int:
    """What is counted so far for a subscription that has a row."""
    row: Subscription = Subscription.objects.get(id=identity.subscription_row_id(UUID(stream_id), index))
    return row.duplicate


def announce(handshake: Handshake, subscriptions: Iterable[SubscriptionFacts], voices: Iterable[str]) -> None:
    """The call, its subscriptions and its voices, as soon as a socket is open. Counts and closing are not touched."""
    with transaction.atomic():
        _write_call(handshake)
        rows = [_subscription_row(handshake, facts) for facts in subscriptions]
        Subscription.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["subscription_id", "encoding", "sample_rate", "channels", "length"],
        )
        _write_participants(handshake, voices)


def vouch_for(stream_ids: Sequence[str], now: datetime) -> None:
    """The heartbeat of the sockets that this process holds open: one statement for all of them."""
    Subscription.objects.filter(stream_id__in=stream_ids, disconnected_at=None).update(seen_at=now)


def write(
    digest: Digest,
    subscriptions: Sequence[SubscriptionFacts],
    segments: Sequence[StoredSegment],
    voices: Iterable[str],
    last_us: int,
    now: datetime,
) -> None:
    """Everything that one journal file adds. All or nothing."""
    handshake = digest.handshake
    with transaction.atomic():
        _write_call(handshake)
        _insist_on_places(handshake, [stored.segment for stored in segments])
        Subscription.objects.bulk_create(
            [_subscription_row(handshake, facts) for facts in subscriptions],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=_SUBSCRIPTION_FACTS,
        )
        _write_participants(handshake, {*voices, *(stored.segment.raw_id for stored in segments)})
        rows = [_segment_row(handshake, stored, now) for stored in segments]
        Segment.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
        _extend_participants(rows)
        entries = [*ledger.entries_of(digest, last_us), *_reconnect_entries(handshake)]
        LedgerEntry.objects.bulk_create(entries, ignore_conflicts=True, batch_size=500)


def stored_near(handshake: Handshake, segments: Sequence[sealing.Segment]) -> dict[str, list[seats.Stored]]:
    """Per raw id: what is stored within the reach of `segments`, in order; nothing when the call has one socket only.

    Audio of the socket itself is among it: it may have been moved behind another's. The reach has no end, because what
    finds its place taken goes behind the whole row of what is stored there, however long that is.
    """
    call_id = UUID(handshake.call_id)
    others = Subscription.objects.filter(call_id=call_id).exclude(stream_id=handshake.stream_id)
    if not segments or not others.exists():
        return {}
    longest = round(handshake.segment_seconds * HIGHEST_RATE)
    found = Segment.objects.filter(
        participant__in={identity.participant_id_of(call_id, segment.raw_id) for segment in segments},
        start_sample__gt=min(segment.start_sample for segment in segments) - longest,
    ).values_list("participant__raw_id", "start_sample", "sample_count", "sha256")
    stored: dict[str, list[seats.Stored]] = {}
    for raw_id, start, count, sha256 in found.order_by("start_sample"):
        stored.setdefault(raw_id, []).append((start, start + count, sha256))
    return stored


def axis_of(handshake: Handshake) -> Timeline:
    """The axis that this call has in the database before this file; empty when there is nothing.

    It knows where each track ends, so that time without a socket is a gap and nothing is put on top of anything. Only
    closed sockets that opened earlier count: of those that are open at the same time `seats` keeps out of the way.
    """
    call_id, stream_id = UUID(handshake.call_id), UUID(handshake.stream_id)
    own = Q(subscription__stream_id=stream_id)
    earlier = Q(subscription__connected_at__lt=moment(handshake.connected_at_us))
    before = (own & Q(journal__lt=handshake.sequence)) | (
        earlier & Q(subscription__disconnected_at__isnull=False) & ~own
    )
    timeline = Timeline()
    for participant in Participant.objects.filter(call_id=call_id).exclude(heard_until=None):
        of_track = participant.segments.filter(before).select_related("subscription")
        last = of_track.order_by((F("start_sample") * 1.0 / F("sample_rate")).desc()).first()  # rates may differ
        if last is None:
            continue
        reason = "not_received" if last.subscription.stream_id == stream_id else "not_connected"
        timeline.tracks[participant.raw_id] = Track(
            last.sample_rate, end=last.start_sample + last.sample_count, gap_reason=reason
        )
        until_us = (last.ended_at - EPOCH) // timedelta(microseconds=1)
        timeline.latest_us = max(timeline.latest_us or until_us, until_us)
    return timeline


def _write_call(handshake: Handshake) -> None:
    started_at = moment(handshake.connected_at_us)
    row = Call(
        id=UUID(handshake.call_id),
        call_connection_id=handshake.call_connection_id,
        correlation_id=handshake.correlation_id,
        started_at=started_at,
    )
    Call.objects.bulk_create([row], ignore_conflicts=True)
    Call.objects.filter(id=row.id, started_at__gt=started_at).update(started_at=started_at)


def _subscription_row(handshake: Handshake, facts: SubscriptionFacts) -> Subscription:
    connected_at = moment(facts.connected_us)
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
        disconnected_at=None if facts.disconnected_us is None else moment(facts.disconnected_us),
        close_code=facts.close_code,
        audio=facts.audio,
        dtmf=facts.dtmf,
        unknown=facts.unknown,
        malformed=facts.malformed,
        duplicate=facts.duplicate,
        late=facts.late,
    )


def _write_participants(handshake: Handshake, voices: Iterable[str]) -> None:
    call_id = UUID(handshake.call_id)
    rows = [
        Participant(
            id=identity.participant_id_of(call_id, raw_id),
            call_id=call_id,
            raw_id=raw_id,
            kind=identity.kind_of(raw_id),
        )
        for raw_id in sorted(set(voices))
    ]
    Participant.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)


def _insist_on_places(handshake: Handshake, segments: Sequence[sealing.Segment]) -> None:
    """Raises `PlaceTaken` where another process has stored audio in a place of `segments` since it was chosen.

    The lock on the call's row keeps the others out until our rows are committed. It comes before any row that refers to
    the call, and not in a mode that such rows conflict with: otherwise two processes could wait for each other.
    """
    Call.objects.select_for_update(no_key=True).only("id").get(id=handshake.call_id)
    near = stored_near(handshake, segments)
    for segment in segments:
        for start, end, _ in near.get(segment.raw_id, ()):
            if start < segment.end_sample and segment.start_sample < end:
                raise PlaceTaken


def _extend_participants(segments: Sequence[Segment]) -> None:
    """Widens `heard_at` and `heard_until` to cover the segments."""
    extents: dict[UUID, tuple[datetime, datetime]] = {}
    for segment in segments:
        first, last = extents.get(segment.participant_id, (segment.started_at, segment.ended_at))
        extents[segment.participant_id] = (min(first, segment.started_at), max(last, segment.ended_at))
    for participant_id, (first, last) in extents.items():
        row = Participant.objects.filter(id=participant_id)
        row.filter(Q(heard_until=None) | Q(heard_until__lt=last)).update(heard_until=last)
        row.filter(Q(heard_at=None) | Q(heard_at__gt=first)).update(heard_at=first)


def _segment_row(handshake: Handshake, stored: StoredSegment, now: datetime) -> Segment:
    segment = stored.segment
    participant_id = identity.participant_id_of(UUID(handshake.call_id), segment.raw_id)
    return Segment(
        id=identity.segment_id_of(participant_id, segment.start_sample),
        participant_id=participant_id,
        subscription_id=identity.subscription_row_id(UUID(handshake.stream_id), segment.subscription),
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
        peaks=waveform.peaks_of(segment.pcm, segment.sample_rate),
    )


def _reconnect_entries(handshake: Handshake) -> list[LedgerEntry]:
    """A socket of a call that had another one before."""
    call_id, stream_id = UUID(handshake.call_id), UUID(handshake.stream_id)
    connected_at = moment(handshake.connected_at_us)
    before = Subscription.objects.filter(call_id=call_id, connected_at__lt=connected_at).exclude(stream_id=stream_id)
    if handshake.sequence > 0 or not before.exists():
        return []
    return [
        LedgerEntry(
            id=identity.entry_id_of(stream_id, LedgerEntry.Kind.RECONNECT, 0),
            call_id=call_id,
            kind=LedgerEntry.Kind.RECONNECT,
            started_at=connected_at,
        )
    ]
