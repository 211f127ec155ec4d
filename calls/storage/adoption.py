"""Makes rows of objects that have none: after a database was restored, of what was recorded since
its backup.

Everything comes from the object: its name has the call, the track and the position, its audio the
length and the hash, and its comment the rest (`calls.audio.origin`). Objects of versions that wrote
no comment are left as they are. What cannot be known again: counts of messages, close codes, and
all events except gaps; calls that were adopted are *interrupted*.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import F, FloatField, Q
from django.db.models.functions import Cast

from calls import identity
from calls.audio import codec, waveform
from calls.audio.codec import DamagedAudio
from calls.audio.levels import level_of
from calls.audio.origin import Origin, origin_in
from calls.identity import CallLink
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from calls.models.continuations import create_and_lock
from calls.storage import read_object
from calls.storage.integrity import SEGMENT_NAME, THREADS, Finding
from calls.storage.threads import call_and_disconnect
from calls.times import from_microseconds, from_sample

ADOPTED = 2_147_483_647
"""The journal of adopted segments: no journal has this number. With its true number, a sealer that
finds the journal after all would take it for sealed.
"""
GAP_SECONDS = 0.06
"""Missing time that is longer is a gap (docs/timeline.md)."""
GAP_REASON = "not_known"
MAX_CONTINUATIONS = 1_000
"""Calls of one connection id that are tried."""
EPSILON = timedelta(milliseconds=1)
"""Places of different sample rates are compared with this tolerance."""

PLACE = Cast("start_sample", FloatField()) / F("sample_rate")
END = Cast(F("start_sample") + F("sample_count"), FloatField()) / F("sample_rate")
"""Seconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that can be adopted: its origin, and the columns of its row."""

    finding: Finding
    call_id: UUID
    participant_id: UUID
    origin: Origin
    columns: dict[str, Any]

    @property
    def subscription_id(self) -> UUID:
        return identity.subscription_row_id(UUID(self.origin.stream_id), self.origin.subscription)

    @property
    def started_at(self) -> datetime:
        return from_sample(self.columns["start_sample"], self.columns["sample_rate"])

    @property
    def ended_at(self) -> datetime:
        end = self.columns["start_sample"] + self.columns["sample_count"]
        return from_sample(end, self.columns["sample_rate"])


class NotAdoptable(Exception):
    """The object cannot become a row; the text is the reason."""


def adopt(orphans: Iterable[Finding], now: datetime) -> list[Finding]:
    """Makes rows of objects without a row. Returns those that stay as they are, with the reason.

    Raises the errors of the store and the database; adopting again continues.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="adoption") as threads:
        seen = list(threads.map(lambda finding: call_and_disconnect(_read, finding), orphans))
    adoptable = [one for one in seen if isinstance(one, Orphan)]
    left = [one for one in seen if isinstance(one, Finding)]
    if adoptable:
        with transaction.atomic():
            left += _write(adoptable, now)
    return left


def _read(finding: Finding) -> Orphan | Finding:
    try:
        return _orphan_of(finding, read_object(finding.name))
    except FileNotFoundError:
        return replace(finding, why="it has just been removed")
    except (DamagedAudio, NotAdoptable) as error:
        return replace(finding, why=str(error))


def _orphan_of(finding: Finding, content: bytes) -> Orphan:
    """Raises `NotAdoptable` and `DamagedAudio`."""
    name = SEGMENT_NAME.fullmatch(finding.name)
    if name is None:
        raise NotAdoptable("an incomplete file")
    origin = origin_in(codec.comment_of(content))
    if origin is None:
        raise NotAdoptable("without a comment that names its origin: of an older version")
    call_id, participant_id = UUID(name["call"]), UUID(name["participant"])
    if identity.participant_id_of(call_id, origin.raw_id) != participant_id:
        raise NotAdoptable("its name is that of another participant")
    sample_count, sample_rate = codec.announced(content[: codec.HEADER_BYTES])
    pcm = codec.decode(content, sample_count=sample_count).astype("<i2").tobytes()
    sha256 = codec.pcm_hash(pcm)
    if name["hash"] and not sha256.startswith(name["hash"]):
        raise NotAdoptable("its name is that of other audio")
    level = level_of(pcm)
    columns = {
        "start_sample": int(name["start"]),
        "sample_count": sample_count,
        "sample_rate": sample_rate,
        "sha256": sha256,
        "peak_dbfs": level.peak_dbfs,
        "rms_dbfs": level.rms_dbfs,
        "audio_name": finding.name,
        "stored_bytes": len(content),
        "peaks": waveform.peaks_of(pcm, sample_rate),
    }
    return Orphan(finding, call_id, participant_id, origin, columns)


def _write(orphans: Sequence[Orphan], now: datetime) -> list[Finding]:
    """Writes all rows of these objects; returns those whose position is taken."""
    _lock_calls(orphans)
    _write_sockets(orphans)
    _write_participants(orphans)
    left, adopted = [], []
    for orphan in orphans:
        if _is_taken(orphan):
            left.append(replace(orphan.finding, why="other audio is stored at its position"))
            continue
        Segment.objects.create(
            id=_segment_id(orphan),
            participant_id=orphan.participant_id,
            subscription_id=orphan.subscription_id,
            journal=ADOPTED,
            sealed_at=now,
            **orphan.columns,
        )
        adopted.append(orphan)
    _extend_rows(adopted)
    _correct_gaps(adopted)
    return left


def _lock_calls(orphans: Iterable[Orphan]) -> None:
    """Creates the missing calls and locks all of them, in the order in which sealers do."""
    calls: dict[UUID, Call] = {}
    later: dict[UUID, UUID] = {}
    for orphan in sorted(orphans, key=lambda one: (str(one.call_id), one.origin.connected_us)):
        if orphan.call_id not in calls:
            link = _link_of(orphan)
            later[link.following.id] = link.id
            calls[orphan.call_id] = Call(
                id=orphan.call_id,
                call_connection_id=orphan.origin.call_connection_id,
                correlation_id=orphan.origin.correlation_id,
                started_at=from_microseconds(orphan.origin.connected_us),
                continuation=link.number,
                continued_from_id=link.continued_from,
            )
    for call_id, started_at in create_and_lock(calls.values()).items():
        if calls[call_id].started_at < started_at:
            Call.objects.filter(id=call_id).update(started_at=calls[call_id].started_at)
    for later_id in Call.objects.filter(id__in=later).values_list("id", flat=True):
        Call.objects.filter(id=later[later_id]).update(continued_in_id=later_id)


def _link_of(orphan: Orphan) -> CallLink:
    """Returns the place of a call among those of its connection id: its id tells it."""
    origin = orphan.origin
    link = CallLink(identity.call_id_of(origin.call_connection_id, UUID(origin.stream_id)))
    while link.id != orphan.call_id:
        if link.number == MAX_CONTINUATIONS:
            return CallLink(orphan.call_id)  # of another sender than ACS
        link = link.following
    return link


def _write_sockets(orphans: Iterable[Orphan]) -> None:
    """Creates the missing subscriptions. They have ended, and nobody knows how."""
    rows: dict[UUID, Subscription] = {}
    for orphan in orphans:
        origin = orphan.origin
        connected_at = from_microseconds(origin.connected_us)
        rows[orphan.subscription_id] = Subscription(
            id=orphan.subscription_id,
            call_id=orphan.call_id,
            stream_id=UUID(origin.stream_id),
            subscription_id=origin.subscription_id,
            encoding=origin.encoding,
            sample_rate=origin.sample_rate,
            channels=origin.channels,
            length=origin.length,
            connected_at=connected_at,
            seen_at=connected_at,
            disconnected_at=connected_at,
        )
    Subscription.objects.bulk_create(rows.values(), ignore_conflicts=True)


def _write_participants(orphans: Iterable[Orphan]) -> None:
    rows = {
        orphan.participant_id: Participant(
            id=orphan.participant_id,
            call_id=orphan.call_id,
            raw_id=orphan.origin.raw_id,
            kind=identity.kind_of(orphan.origin.raw_id),
            voice=orphan.origin.voice,
        )
        for orphan in orphans
    }
    Participant.objects.bulk_create(rows.values(), ignore_conflicts=True)


def _is_taken(orphan: Orphan) -> bool:
    """Whether the track has other audio at the position, in whole or in part."""
    rate = orphan.columns["sample_rate"]
    half = 0.5 / rate  # a neighbour that ends where this one begins is none
    first = orphan.columns["start_sample"] / rate + half
    last = (orphan.columns["start_sample"] + orphan.columns["sample_count"]) / rate - half
    track = Segment.objects.filter(participant=orphan.participant_id)
    same_start = Q(start_sample=orphan.columns["start_sample"])
    return (
        track.alias(place=PLACE, end=END)
        .filter(same_start | Q(place__lt=last, end__gt=first))
        .exists()
    )


def _segment_id(orphan: Orphan) -> UUID:
    """Returns the usual id, unless a segment that was moved has it."""
    usual = identity.segment_id_of(orphan.participant_id, orphan.columns["start_sample"])
    is_used = Segment.objects.filter(id=usual).exists()
    return uuid5(usual, orphan.columns["sha256"]) if is_used else usual


def _extend_rows(adopted: Iterable[Orphan]) -> None:
    """Extends participants and sockets to the audio that they have now."""
    for orphan in adopted:
        first, last = orphan.started_at, orphan.ended_at
        track = Participant.objects.filter(id=orphan.participant_id)
        track.filter(Q(heard_at=None) | Q(heard_at__gt=first)).update(
            heard_at=first, voice=orphan.origin.voice
        )
        track.filter(Q(heard_until=None) | Q(heard_until__lt=last)).update(heard_until=last)
        sockets = Subscription.objects.filter(id=orphan.subscription_id, close_code=None)
        sockets.filter(disconnected_at__lt=last).update(disconnected_at=last, seen_at=last)


def _correct_gaps(adopted: Sequence[Orphan]) -> None:
    """Removes gaps that are filled now, and enters those between adopted and other audio."""
    for orphan in adopted:
        LedgerEntry.objects.gaps().filter(
            participant=orphan.participant_id,
            started_at__lt=orphan.ended_at - EPSILON,
            ended_at__gt=orphan.started_at + EPSILON,
        ).delete()
    calls = {orphan.participant_id: orphan.call_id for orphan in adopted}
    for participant_id, call_id in calls.items():
        ours = {one.columns["start_sample"] for one in adopted}
        entries = [_gap(call_id, participant_id, *gap) for gap in _gaps_at(participant_id, ours)]
        known = LedgerEntry.objects.gaps().filter(participant=participant_id)
        LedgerEntry.objects.bulk_create(
            [
                entry
                for entry in entries
                if not known.filter(
                    started_at__lt=entry.ended_at, ended_at__gt=entry.started_at
                ).exists()
            ],
            ignore_conflicts=True,
        )


def _gaps_at(participant_id: UUID, starts: Collection[int]) -> Iterable[tuple[int, int, int]]:
    """Yields start, length and rate (Hz) of the missing time before and after the segments that
    begin at `starts`, in samples.
    """
    track = Segment.objects.filter(participant=participant_id).annotate(place=PLACE)
    rows = track.order_by("place").values_list("start_sample", "sample_count", "sample_rate")
    for (start, count, rate), (next_start, _, next_rate) in pairwise(rows.iterator()):
        if start in starts or next_start in starts:
            missing = next_start / next_rate - (start + count) / rate
            if missing > GAP_SECONDS:
                yield start + count, round(missing * rate), rate


def _gap(call_id: UUID, participant_id: UUID, start: int, count: int, rate: int) -> LedgerEntry:
    return LedgerEntry(
        id=identity.entry_id_of(participant_id, LedgerEntry.Kind.GAP, start),
        call_id=call_id,
        participant_id=participant_id,
        kind=LedgerEntry.Kind.GAP,
        reason=GAP_REASON,
        started_at=from_sample(start, rate),
        ended_at=from_sample(start + count, rate),
        start_sample=start,
        sample_count=count,
        sample_rate=rate,
    )
