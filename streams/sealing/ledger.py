"""Ledger entries for what a journal file says besides audio. Ids are derived, so an entry is
written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from calls import identity
from calls.models import LedgerEntry
from calls.times import from_microseconds, from_sample
from streams.sealing.digest import Digest
from streams.timeline.timeline import Gap

Kind = LedgerEntry.Kind


def entries_of(digest: Digest, last_us: int) -> Iterator[LedgerEntry]:
    """All but the gaps. `last_us`: when the socket was last heard, for what has no time of its
    own.
    """
    yield from _clock_entries(digest)
    yield from _socket_entries(digest, last_us)
    yield from _alarms(digest)


def gaps_of(digest: Digest) -> Iterator[LedgerEntry]:
    """As its own audio shows them; what other sockets of the call have is not asked (`seams`)."""
    call_id = UUID(digest.handshake.call_id)
    for raw_id, gap in digest.gaps:
        yield gap_entry(call_id, identity.participant_id_of(call_id, raw_id), gap)


def gap_entry(call_id: UUID, participant_id: UUID, gap: Gap) -> LedgerEntry:
    """Missing time of a track; the same gap has the same id, whoever finds it."""
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


def _clock_entries(digest: Digest) -> Iterator[LedgerEntry]:
    """Clock jumps and changes of rate: they belong to a participant."""
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


def _socket_entries(digest: Digest, last_us: int) -> Iterator[LedgerEntry]:
    """DTMF, damage and recovery: they belong to the socket, because the wire names no participant
    for them.
    """
    stream_id, sequence = UUID(digest.handshake.stream_id), digest.handshake.sequence

    def entry(
        kind: Kind, position: int, at_us: int, reason: str = "", **detail: object
    ) -> LedgerEntry:
        return LedgerEntry(
            id=identity.entry_id_of(stream_id, kind, position),
            call_id=UUID(digest.handshake.call_id),
            kind=kind,
            reason=reason,
            started_at=from_microseconds(at_us),
            detail=detail,
        )

    for number, tone in enumerate(digest.dtmf):
        yield entry(Kind.DTMF, sequence << 32 | number, tone.arrived_us, tone=tone.tone)
    for damage in digest.damage:
        reason, size = "torn_tail" if damage.torn else "damaged_record", damage.end - damage.start
        yield entry(
            Kind.DAMAGE,
            sequence << 32 | damage.start,
            last_us,
            reason,
            journal=sequence,
            bytes=size,
        )
    if digest.broken_off:
        yield entry(Kind.RECOVERED, sequence, last_us, "recorder_stopped")


def _alarms(digest: Digest) -> Iterator[LedgerEntry]:
    """Each belongs to the socket that raised it: another socket of the call that raised the same
    has its own.
    """
    stream_id, call_id = UUID(digest.handshake.stream_id), UUID(digest.handshake.call_id)
    for raw_id, alarm in digest.alarms:
        assert alarm.until_us is not None, "alarms are told when they are over"
        yield LedgerEntry(
            id=identity.entry_id_of(
                stream_id, f"{Kind.ALARM}:{alarm.name}:{alarm.voice}", alarm.since_us
            ),
            call_id=call_id,
            participant_id=None if raw_id is None else identity.participant_id_of(call_id, raw_id),
            kind=Kind.ALARM,
            reason=alarm.name,
            started_at=from_microseconds(alarm.since_us),
            ended_at=from_microseconds(alarm.until_us),
        )
