"""Small factories: calls, sockets, tracks and segments with real audio in the audio store.

    call = make_call()
    alice = make_participant(call, "4:+15551234567")
    make_segment(alice, at=0.0, samples=tone(2.0))

Positions are seconds after `START`, or exact samples since the epoch.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from calls import identity
from calls.audio import codec, waveform
from calls.models import (
    Call,
    FailedJournal,
    LedgerEntry,
    Participant,
    RaisedAlarm,
    RecorderProcess,
    RefusedHandshake,
    Segment,
    Subscription,
)
from calls.storage import write_object
from calls.times import from_sample

RATE = 16_000
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ALICE = "4:+15551234567"
BOB = "8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-c5f0-6a4f-8b23-3a3a0d00a1b2"

Samples = NDArray[np.int16]


def tone(
    seconds: float, hertz: float = 440.0, *, rate: int = RATE, amplitude: float = 0.3
) -> Samples:
    """Returns a sine, shape (seconds * rate,)."""
    phase = 2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate
    return np.round(amplitude * 32_767 * np.sin(phase)).astype(np.int16)


def noise(seconds: float, seed: int = 1, *, rate: int = RATE) -> Samples:
    """Returns noise, in which a shift by one sample is detected. Shape (seconds * rate,)."""
    values: Samples = np.random.default_rng(seed).integers(
        -20_000, 20_000, round(seconds * rate), dtype=np.int16
    )
    return values


def make_call(connection: str = "", *, started_at: datetime = START, **values: Any) -> Call:
    """Creates a call without related rows."""
    values = {
        "call_connection_id": connection or f"connection-{uuid4()}",
        "correlation_id": str(uuid4()),
        **values,
    }
    call_id = identity.call_id_of(values["call_connection_id"], uuid4())
    return Call.objects.create(id=call_id, started_at=started_at, **values)


def make_alarm(name: str = "stalled", **values: Any) -> RaisedAlarm:
    """Creates an active alarm."""
    now = timezone.now()
    defaults = {"id": uuid4(), "origin": "tests", "raised_at": now, "seen_at": now}
    return RaisedAlarm.objects.create(name=name, **{**defaults, **values})


def make_subscription(call: Call, **values: Any) -> Subscription:
    """Creates a socket of `call`: by default open for a minute and closed normally."""
    stream_id = uuid4()
    end = call.started_at + timedelta(minutes=1)
    defaults = {
        "stream_id": stream_id,
        "subscription_id": str(uuid4()),
        "encoding": "PCM",
        "sample_rate": RATE,
        "channels": 1,
        "length": 640,
        "connected_at": call.started_at,
        "seen_at": end,
        "disconnected_at": end,
        "close_code": 1000,
    }
    return Subscription.objects.create(
        id=identity.subscription_row_id(stream_id, 0), call=call, **{**defaults, **values}
    )


def make_participant(call: Call, raw_id: str = ALICE, **values: Any) -> Participant:
    """Creates a participant without audio."""
    return Participant.objects.create(
        id=identity.participant_id_of(call.id, raw_id),
        call=call,
        raw_id=raw_id,
        kind=identity.kind_of(raw_id),
        **values,
    )


def place(seconds: float, rate: int = RATE) -> int:
    """Returns the sample at `seconds` after `START`, counted from the epoch."""
    return int(START.timestamp()) * rate + round(seconds * rate)


def make_segment(
    participant: Participant,
    *,
    at: float = 0.0,
    samples: Samples | None = None,
    rate: int = RATE,
    start_sample: int | None = None,
    subscription: Subscription | None = None,
    name: str | None = None,
) -> Segment:
    """Creates a sealed segment: the object, the row, then the times of the participant.

    With `name` an existing object is used: many segments can share one.
    """
    samples = tone(1.0, rate=rate) if samples is None else samples
    start = place(at, rate) if start_sample is None else start_sample
    pcm = samples.astype("<i2").tobytes()
    stored_bytes = len(pcm) // 2
    if name is None:
        name = f"{participant.call_id}/{participant.id}/{start}.{codec.EXTENSION}"
        stored = codec.encode(pcm, rate)
        stored_bytes = len(stored)
        write_object(name, stored)
    subscription = (
        subscription
        or participant.call.subscriptions.first()
        or make_subscription(participant.call)
    )
    segment = Segment.objects.create(
        id=identity.segment_id_of(participant.id, start),
        participant=participant,
        subscription=subscription,
        journal=0,
        start_sample=start,
        sample_count=len(samples),
        sample_rate=rate,
        sha256=codec.pcm_hash(pcm),
        peak_dbfs=-6.0,
        rms_dbfs=-12.0,
        audio_name=name,
        stored_bytes=stored_bytes,
        sealed_at=from_sample(start + len(samples), rate),
        peaks=waveform.peaks_of(pcm, rate),
    )
    participant.heard_at = min(participant.heard_at or segment.started_at, segment.started_at)
    participant.heard_until = max(participant.heard_until or segment.ended_at, segment.ended_at)
    participant.save(update_fields=["heard_at", "heard_until"])
    return segment


def make_gap(
    participant: Participant,
    *,
    at: float,
    seconds: float,
    rate: int = RATE,
    reason: str = "not_received",
) -> LedgerEntry:
    """Creates the ledger entry of missing time on a track, like the sealer."""
    start, count = place(at, rate), round(seconds * rate)
    return LedgerEntry.objects.create(
        id=identity.entry_id_of(participant.id, "gap", start),
        call=participant.call,
        participant=participant,
        kind=LedgerEntry.Kind.GAP,
        reason=reason,
        started_at=from_sample(start, rate),
        ended_at=from_sample(start + count, rate),
        start_sample=start,
        sample_count=count,
        sample_rate=rate,
    )


def make_conversation() -> tuple[Call, Participant, Participant]:
    """Creates a call with two seconds each of Alice (from 0 to 2) and Bob (from 1 to 3)."""
    call = make_call()
    alice, bob = make_participant(call, ALICE), make_participant(call, BOB)
    for second in range(2):
        make_segment(alice, at=second, samples=noise(1.0, seed=second))
        make_segment(bob, at=1 + second, samples=noise(1.0, seed=10 + second))
    return call, alice, bob


def url_of(call: Call | UUID, rest: str = "") -> str:
    """Returns `/api/v1/calls/<id>/…`."""
    return f"/api/v1/calls/{call if isinstance(call, UUID) else call.id}/{rest}"


def make_process(**values: Any) -> RecorderProcess:
    now = timezone.now()
    defaults = {
        "id": uuid4(),
        "host": "ingest-1",
        "started_at": now,
        "seen_at": now,
        "open_streams": 41,
        "segments_sealed": 7,
        "seal_lag_seconds": 1.0,
        "spool_files": 3,
        "spool_bytes": 4096,
        "failures": {"store": 0, "database": 0, "journal": 0},
        "refusals": {"from_acs": {}, "others": {}},
    }
    return RecorderProcess.objects.create(**{**defaults, **values})


def make_failed(**values: Any) -> FailedJournal:
    now = timezone.now()
    defaults = {
        "id": uuid4(),
        "process": uuid4(),
        "name": f"{uuid4()}.000000.unreadable",
        "error": "UnreadableJournal",
        "tries": 1,
        "is_set_aside": True,
        "failed_at": now,
        "seen_at": now,
    }
    return FailedJournal.objects.create(**{**defaults, **values})


def make_refusal(**values: Any) -> RefusedHandshake:
    """Creates the row of a refused handshake of ACS, a minute after `START`."""
    at = START + timedelta(minutes=1)
    defaults = {
        "id": uuid4(),
        "process": uuid4(),
        "first_at": at,
        "last_at": at,
        "reason": "expired",
        "from_acs": True,
        "address": "20.51.10.7",
        "call_connection_id": "refused-connection",
    }
    return RefusedHandshake.objects.create(**{**defaults, **values})
