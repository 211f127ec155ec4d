"""Ledger entries for the facts of a journal file besides its audio. Ids are derived, so an entry is
written once. `mark_calls` lets coverage know that a call has ended, or that audio has come late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from calls import identity
from calls.coverage import due
from calls.models import LedgerEntry
from calls.times import from_microseconds, from_sample
from streams.sealing.digest import Digest
from streams.timeline.timeline import Gap

Kind = LedgerEntry.Kind


def gaps_of(digest: Digest) -> Iterator[LedgerEntry]:
    """Yields the gaps in the file's own audio, regardless of other sockets of the call (`gaps`)."""
    call_id = UUID(digest.handshake.call_id)
    for raw_id, gap in digest.gaps:
        yield gap_entry(call_id, identity.participant_id_of(call_id, raw_id), gap)


def gap_entry(call_id: UUID, participant_id: UUID, gap: Gap) -> LedgerEntry:
    """Returns the entry for missing time of a track; the same gap always has the same id."""
    return LedgerEntry(
        id=identity.entry_id_of(participant_id, Kind.GAP, gap.start_sample),
        call_id=call_id,
        participant_id=participant_id,
        kind=Kind.GAP,
        reason=gap.reason,
        started_at=from_sample(gap.start_sample, gap.sample_rate),
        ended_at=from_sample(gap.start_sample + gap.sample_count, gap.sample_rate),
        start_sample=gap.start_sample,
        sample_count=gap.sample_count,
        sample_rate=gap.sample_rate,
    )


def clock_entries(digest: Digest) -> Iterator[LedgerEntry]:
    """Yields clock jumps and rate changes, which belong to a participant."""
    call_id = UUID(digest.handshake.call_id)
    for jump in digest.jumps:
        participant_id = identity.participant_id_of(call_id, jump.participant)
        seconds = (jump.timestamp_us - jump.expected_us) / 1_000_000
        yield LedgerEntry(
            id=identity.entry_id_of(participant_id, Kind.CLOCK_JUMP, jump.place_us),
            call_id=call_id,
            participant_id=participant_id,
            kind=Kind.CLOCK_JUMP,
            reason="back" if seconds < 0 else "ahead",
            started_at=from_microseconds(jump.place_us),
            detail={"seconds": seconds},
        )
    for change in digest.rate_changes:
        participant_id = identity.participant_id_of(call_id, change.participant)
        yield LedgerEntry(
            id=identity.entry_id_of(participant_id, Kind.RATE_CHANGE, change.start_sample),
            call_id=call_id,
            participant_id=participant_id,
            kind=Kind.RATE_CHANGE,
            started_at=from_sample(change.start_sample, change.sample_rate),
            detail={"before": change.sample_rate_before, "after": change.sample_rate},
        )


def socket_entries(digest: Digest, last_us: int) -> Iterator[LedgerEntry]:
    """Yields DTMF, damage and recovery, which belong to the socket, because the wire names no
    participant for them. `last_us` is the time of the socket's last record, for facts without a
    time of their own.
    """
    sequence = digest.handshake.sequence
    facts: list[tuple[Kind, int, int, str, dict[str, object]]] = [
        (Kind.DTMF, sequence << 32 | number, tone.arrived_us, "", {"tone": tone.tone})
        for number, tone in enumerate(digest.dtmf)
    ]
    for damage in digest.damage:
        reason, size = "torn_tail" if damage.torn else "damaged_record", damage.end - damage.start
        position = sequence << 32 | damage.start
        detail: dict[str, object] = {"journal": sequence, "bytes": size}
        facts.append((Kind.DAMAGE, position, last_us, reason, detail))
    if digest.broken_off:
        facts.append((Kind.RECOVERED, sequence, last_us, "recorder_stopped", {}))
    for kind, position, at_us, reason, detail in facts:
        yield LedgerEntry(
            id=identity.entry_id_of(UUID(digest.handshake.stream_id), kind, position),
            call_id=UUID(digest.handshake.call_id),
            kind=kind,
            reason=reason,
            started_at=from_microseconds(at_us),
            detail=detail,
        )


def alarm_entries(digest: Digest) -> Iterator[LedgerEntry]:
    """Yields the alarms; one that is active has no end yet. Each belongs to its socket: the same
    alarm on another socket of the call has an entry of its own.
    """
    stream_id, call_id = UUID(digest.handshake.stream_id), UUID(digest.handshake.call_id)
    for raw_id, alarm in digest.alarms:
        yield LedgerEntry(
            id=identity.entry_id_of(
                stream_id, f"{Kind.ALARM}:{alarm.name}:{alarm.voice}", alarm.since_us
            ),
            call_id=call_id,
            participant_id=None if raw_id is None else identity.participant_id_of(call_id, raw_id),
            kind=Kind.ALARM,
            reason=alarm.name,
            started_at=from_microseconds(alarm.since_us),
            ended_at=None if alarm.until_us is None else from_microseconds(alarm.until_us),
        )


def mark_calls(digests: Sequence[Digest]) -> None:
    """Marks the calls of sockets that are over, to be judged. Other files concern only calls that
    were judged before: then audio has come late. Call it in the transaction of the rows.
    """
    over = [_key_of(one) for one in digests if one.ending]
    due.mark(over, judged=[_key_of(one) for one in digests if not one.ending])


def _key_of(digest: Digest) -> due.CallKey:
    handshake = digest.handshake
    ids = (handshake.call_connection_id, handshake.correlation_id)
    at = from_microseconds(handshake.connected_at_us)
    return due.CallKey(*ids, at, UUID(handshake.call_id))
