"""The stored call as users get it: segments, gaps, state and export, read from the rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings

from calls import storage
from calls.audio import codec
from calls.audio.codec import Samples
from calls.close_codes import GOOD_CLOSE_CODES
from calls.export import queries
from calls.export.axis import SegmentRef
from calls.export.plan import ExportRequest, Recording, plan_of
from calls.export.rendering import Renderer
from calls.models import (
    CLOCK_TOLERANCE,
    Call,
    LedgerEntry,
    Participant,
    Segment,
    Subscription,
)
from calls.times import from_microseconds
from streams.timeline.timeline import Gap
from tests.simulation.recorder import Recorder, Stored

LONGEST_EXPORT_SECONDS = 60
A_WHILE = timedelta(minutes=1)


def stored_rows() -> Stored:
    """Returns the audio and gaps that the rows name."""
    stored = Stored()
    names = dict(Participant.objects.values_list("id", "raw_id"))
    segments = Segment.objects.values_list(
        "participant_id", "start_sample", "sample_count", "sample_rate", "sha256", "audio_name"
    )
    for participant, start, count, rate, sha256, name in sorted(
        segments, key=lambda row: (str(row[0]), row[1] / row[3])
    ):
        content = storage.read_object(name)
        samples = codec.decode(content, sample_count=count, sha256=sha256)
        stored.add_audio(names[participant], start, rate, samples.astype("<i2").tobytes())
    gaps = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.GAP).order_by("started_at")
    columns = ("participant_id", "start_sample", "sample_count", "sample_rate", "reason")
    entries: list[tuple[Any, ...]] = list(gaps.values_list(*columns))
    for participant, *values in entries:
        stored.gaps.setdefault(names[participant], []).append(Gap(*values))
    facts: Any = Subscription.objects.order_by("id")  # with the same counts
    stored.facts = list(facts)
    return stored


def faults_of_state(recorder: Recorder) -> list[str]:
    """Returns wrong states of the call, a while after its end by the host's clock.

    The socket that opened last decides, also if an older one ends after it: it has replaced the
    older one, which is half-open until its ping times out.
    """
    last = max(recorder.ended, key=lambda socket: socket.number)
    if not recorder.recordings[last.number].closed_on_disk:
        return []  # nobody can know how it ended
    is_good = not last.dies and last.code in GOOD_CLOSE_CODES
    right = "ended" if is_good else "interrupted"
    found = {call.state for now in _later(recorder) for call in Call.objects.with_state(now)}
    return [] if found == {right} else [f"the call is {', '.join(found)}, right: {right}"]


def _later(recorder: Recorder) -> Iterator[datetime]:
    """Yields a moment a while after the call by the host's clock, and one that is also a while
    after its end by a clock that was not set back.

    If the clock was set back, the first one may lie near that end. Then nobody can know whether the
    call ended long ago, or just now on a host whose clock differs by less than `CLOCK_TOLERANCE`.
    """
    grace = timedelta(seconds=settings.RECONNECT_GRACE_SECONDS)
    moment = from_microseconds(recorder.now_us) + grace + A_WHILE
    near = (moment - grace, moment + CLOCK_TOLERANCE)
    if not Subscription.objects.filter(disconnected_at__range=near).exists():
        yield moment
    back_us = sum(max(0, -one.us) for one in recorder.world.plan.of("host"))
    yield moment + timedelta(microseconds=back_us)


def faults_of_export(stored: Stored) -> list[str]:
    """Returns tracks whose export differs from their segments; short calls of one rate only."""
    recording = queries.recording_of(Call.objects.get())
    rates = {rate for track in stored.tracks.values() for _, rate, _ in track}
    if len(rates) != 1:
        return []
    axis = recording.axis()
    if axis.length > LONGEST_EXPORT_SECONDS * axis.sample_rate:
        return []
    faults = []
    for participant in Participant.objects.all():
        expected = np.zeros(axis.length, np.int16)
        for start, rate, pcm in stored.tracks.get(participant.raw_id, ()):
            place, samples = axis.place(start, rate), np.frombuffer(pcm, "<i2")
            expected[place : place + len(samples)] = samples
        if not np.array_equal(_exported(recording, participant), expected):
            faults.append(f"the export of {participant.raw_id} differs from its segments")
    return faults


def _exported(recording: Recording, participant: Participant) -> Samples:
    renderer = Renderer(plan_of(recording, ExportRequest(participant=participant.id)), _read)
    blocks = [block[:, 0] for block in renderer.all_blocks()]
    return np.concatenate(blocks)


def _read(segment: SegmentRef) -> Samples:
    content = storage.read_object(segment.audio_name)
    return codec.decode(content, sample_count=segment.end_sample - segment.start_sample)
