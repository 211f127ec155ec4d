"""Calls of any length, written directly to audio store and rows: speech and noise, in segments of
ten seconds.

Each track has `OBJECTS` objects that its segments share in rotation, so an eight-hour call is
created in a second. Each object is still read, decoded and checked for every segment.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import soundfile

from bench.segment_encoding import VOICES
from calls import identity
from calls.audio import codec, waveform
from calls.audio.codec import Samples

RATE = 16_000
SEGMENT_SECONDS = 10
SEGMENT_SAMPLES = RATE * SEGMENT_SECONDS
OBJECTS = 12
STARTED = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def make_call(seconds: int, raw_ids: tuple[str, ...]) -> UUID:
    """Creates a call in which every fourth track is noise and the others are speech, without pauses
    at start or end.
    """
    from calls.models import Call, Subscription  # need Django set up

    call = Call.objects.create(id=uuid4(), call_connection_id=str(uuid4()), started_at=STARTED)
    times = {
        "connected_at": STARTED,
        "seen_at": STARTED,
        "disconnected_at": STARTED + timedelta(seconds=seconds),
    }
    socket = Subscription.objects.create(
        id=uuid4(), call=call, stream_id=uuid4(), close_code=1000, **times
    )
    for number, raw_id in enumerate(raw_ids):
        _make_track(call, socket, raw_id, seconds, noisy=number % 4 == 3)
    return call.pk


def speech(seed: int, count: int) -> list[Samples]:
    """Returns segments of the demo's voices; each speaker has different pauses."""
    paths = sorted(VOICES.glob("*.flac"))
    samples, rate = soundfile.read(paths[seed % len(paths)], dtype="int16")
    step = rate // RATE
    spoken = np.resize(np.roll(samples[:: max(step, 1)], seed * 4_321), count * SEGMENT_SAMPLES)
    return list(spoken.reshape(count, SEGMENT_SAMPLES))


def noise(seed: int, count: int) -> list[Samples]:
    """Returns white noise at -12 dBFS, the worst case for encoders."""
    random = np.random.default_rng(seed)
    return [
        random.normal(0, 8_000, SEGMENT_SAMPLES).clip(-32_768, 32_767).astype(np.int16)
        for _ in range(count)
    ]


def _make_track(call: Any, socket: Any, raw_id: str, seconds: int, *, noisy: bool) -> None:
    from calls.models import Participant, Segment

    until = STARTED + timedelta(seconds=seconds)
    names = {"raw_id": raw_id, "kind": identity.kind_of(raw_id)}
    participant = Participant.objects.create(
        id=uuid4(), call=call, **names, heard_at=STARTED, heard_until=until
    )
    sounds = (noise if noisy else speech)(len(raw_id) + call.participants.count(), OBJECTS)
    stored = [_store(participant, index, sound) for index, sound in enumerate(sounds)]
    first = int(STARTED.timestamp()) * RATE
    rows = (
        Segment(
            id=uuid4(),
            participant=participant,
            subscription=socket,
            journal=index,
            start_sample=first + index * SEGMENT_SAMPLES,
            sample_count=SEGMENT_SAMPLES,
            sample_rate=RATE,
            peak_dbfs=-6.0,
            rms_dbfs=-21.5,
            sealed_at=until,
            **stored[index % OBJECTS],
        )
        for index in range(seconds // SEGMENT_SECONDS)
    )
    while batch := list(islice(rows, 1000)):
        Segment.objects.bulk_create(batch)


def _store(participant: Any, index: int, samples: Samples) -> dict[str, Any]:
    """Stores an object; returns the fields that its rows share."""
    from calls.storage import write_object

    pcm = samples.astype("<i2").tobytes()
    content, sha256 = codec.encode(pcm, RATE), codec.pcm_hash(pcm)
    name = f"{participant.call_id}/{participant.pk}/{index}-{sha256[:16]}.{codec.EXTENSION}"
    write_object(name, content)
    peaks = waveform.peaks_of(pcm, RATE)
    return {"audio_name": name, "stored_bytes": len(content), "sha256": sha256, "peaks": peaks}
