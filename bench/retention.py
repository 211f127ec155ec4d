"""Deletion of days of calls while pages are read and a call is recorded: nothing is blocked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

from django.core.management import call_command
from django.db import connections

from bench.recordings import RATE, SEGMENT_SAMPLES
from bench.shelf_pages import pages
from calls.models import Call, DiscardedAudio, Participant, Segment, Subscription

READ = (
    "REST calls",
    "REST calls, deep cursor",
    "REST calls, search, 6 digits",
    "REST one call",
    "REST segments",
)
PACKET_SECONDS = 0.1


def delete_oldest(days: int, ask: Callable[[str], None]) -> None:
    """Deletes the oldest days. `ask` requests an address, in a separate thread."""
    oldest = Call.objects.order_by("started_at").first()
    assert oldest, "the shelf has calls"
    first_kept = (oldest.started_at + timedelta(days=days)).date()
    stop = threading.Event()
    reading, writing = _Timed(lambda: ask(next(addresses))), _Timed(_LiveCall().write)
    random = Random(1)
    read_pages = [page for page in pages() if page.name in READ]
    addresses = iter(lambda: random.choice(read_pages).path(random), "")
    threads = [threading.Thread(target=each.repeat, args=(stop,)) for each in (reading, writing)]
    for thread in threads:
        thread.start()
    before = Call.objects.count()
    started = time.perf_counter()
    call_command("delete_calls", ended_before=first_kept.isoformat(), verbosity=0)
    seconds = time.perf_counter() - started
    stop.set()
    for thread in threads:
        thread.join()
    deleted = before - Call.objects.count()
    print(
        f"retention: {deleted} calls in {seconds:.0f} s; left to sweep: "
        f"{DiscardedAudio.objects.count()}"
    )
    print(f"  REST meanwhile:     {reading.summary()}")
    print(f"  a segment's insert: {writing.summary()}")


class _Timed:
    """Repeats `work` and records the durations."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._times_ms: list[float] = []

    def repeat(self, stop: threading.Event) -> None:
        while not stop.wait(PACKET_SECONDS):
            started = time.perf_counter()
            self._work()
            self._times_ms.append((time.perf_counter() - started) * 1000)
        connections.close_all()

    def summary(self) -> str:
        times = sorted(self._times_ms)
        p95 = times[len(times) * 95 // 100]
        return (
            f"{len(times)} times, median {times[len(times) // 2]:.0f} ms, p95 {p95:.0f} ms, "
            f"longest {times[-1]:.0f} ms"
        )


class _LiveCall:
    """A live call: its rows as the sealer writes them, without audio."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self._call = Call.objects.create(
            id=uuid4(), call_connection_id=str(uuid4()), started_at=now
        )
        moments = {"connected_at": now, "seen_at": now}
        self._socket = Subscription.objects.create(
            id=uuid4(), call=self._call, stream_id=uuid4(), **moments
        )
        self._voice = Participant.objects.create(
            id=uuid4(), call=self._call, raw_id="4:+4930555010", kind="phone"
        )
        self._start = int(now.timestamp()) * RATE
        self._count = 0

    def write(self) -> None:
        place = self._start + self._count * SEGMENT_SAMPLES
        Segment.objects.create(
            id=uuid4(),
            participant=self._voice,
            subscription=self._socket,
            journal=self._count,
            start_sample=place,
            sample_count=SEGMENT_SAMPLES,
            sample_rate=RATE,
            sha256="0" * 64,
            peak_dbfs=-6.0,
            rms_dbfs=-21.5,
            audio_name=f"{self._call.pk}/{self._voice.pk}/{place}.flac",
            stored_bytes=90_000,
            sealed_at=datetime.now(UTC),
        )
        self._count += 1
