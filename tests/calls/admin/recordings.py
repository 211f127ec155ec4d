"""Recorded calls in the database, for the tests of admin and deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from calls import identity
from calls.audio import codec
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from calls.storage import write_object

RATE = 16_000
STARTED = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
ALICE = "4:+4930555010"
BOB = "8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-c5f0-6a4f"


@dataclass(frozen=True)
class Spoken:
    """One track: a segment of `seconds` of audio each, back to back, from the call's start."""

    raw_id: str
    segments: int = 1
    seconds: float = 1.0
    gaps: int = 0


@dataclass(frozen=True)
class Recording:
    """Writes a call with its sockets, tracks, segments (objects first) and ledger."""

    tracks: tuple[Spoken, ...] = (Spoken(ALICE), Spoken(BOB))
    connection_id: str = field(default_factory=lambda: str(uuid4()))
    correlation_id: str = field(default_factory=lambda: str(uuid4()))
    started: datetime = STARTED
    close_code: int | None = 1000
    open_at: datetime | None = None
    """If set, the socket is open and its last heartbeat was at this time."""

    def write(self) -> Call:
        call = self.unsaved()
        call.save(force_insert=True)
        subscription = self._write_subscription(call)
        for track in self.tracks:
            self._write_track(call, subscription, track)
        return call

    def unsaved(self) -> Call:
        return Call(
            id=identity.call_id_of(self.connection_id, uuid4()),
            call_connection_id=self.connection_id,
            correlation_id=self.correlation_id,
            started_at=self.started,
        )

    def _write_subscription(self, call: Call) -> Subscription:
        stream_id = uuid4()
        end = self.open_at or self.started + timedelta(minutes=1)
        return Subscription.objects.create(
            id=identity.subscription_row_id(stream_id, 0),
            call=call,
            stream_id=stream_id,
            subscription_id=str(uuid4()),
            encoding="PCM",
            sample_rate=RATE,
            channels=1,
            length=640,
            connected_at=self.started,
            seen_at=end,
            disconnected_at=None if self.open_at else end,
            close_code=None if self.open_at else self.close_code,
            audio=100,
        )

    def _write_track(self, call: Call, subscription: Subscription, track: Spoken) -> None:
        participant = Participant.objects.create(
            id=identity.participant_id_of(call.id, track.raw_id),
            call=call,
            raw_id=track.raw_id,
            kind=identity.kind_of(track.raw_id),
            heard_at=self.started,
            heard_until=self.started + timedelta(seconds=track.segments * track.seconds),
        )
        Segment.objects.bulk_create(
            [
                self._sealed(participant, subscription, track, number)
                for number in range(track.segments)
            ]
        )
        LedgerEntry.objects.bulk_create(
            [self._gap(participant, subscription, number) for number in range(track.gaps)]
        )

    def _sealed(
        self, participant: Participant, subscription: Subscription, track: Spoken, number: int
    ) -> Segment:
        count = int(track.seconds * RATE)
        start = int(self.started.timestamp()) * RATE + number * count
        pcm = bytes(2 * count)
        content = codec.encode(pcm, RATE)
        name = f"{participant.call_id}/{participant.id}/{start}.{codec.EXTENSION}"
        write_object(name, content)
        return Segment(
            id=segment_id(participant.id, start),
            participant=participant,
            subscription=subscription,
            journal=number,
            start_sample=start,
            sample_count=count,
            sample_rate=RATE,
            sha256=codec.pcm_hash(pcm),
            peak_dbfs=-6.0,
            rms_dbfs=-21.5,
            audio_name=name,
            stored_bytes=len(content),
            sealed_at=self.started + timedelta(seconds=(number + 1) * track.seconds),
        )

    def _gap(
        self, participant: Participant, subscription: Subscription, number: int
    ) -> LedgerEntry:
        at = self.started + timedelta(seconds=number)
        return LedgerEntry(
            id=identity.entry_id_of(participant.id, "gap", number),
            call=participant.call,
            participant=participant,
            subscription=subscription,
            kind=LedgerEntry.Kind.GAP,
            reason="missing",
            started_at=at,
            ended_at=at + timedelta(seconds=0.5),
            start_sample=int(at.timestamp()) * RATE,
            sample_count=RATE // 2,
            sample_rate=RATE,
        )


def segment_id(participant_id: UUID, start_sample: int) -> UUID:
    return identity.segment_id_of(participant_id, start_sample)
