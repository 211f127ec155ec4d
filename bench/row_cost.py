"""Cost of writing the rows of a journal file: CPU and statements, by batch size.

    python -m bench.row_cost                                on SQLite
    python -m tests.backends -- python -m bench.row_cost    on a temporary Postgres

Each file is from the middle of a two-party call: its subscription and two participants exist, it
has two segments and no ledger entries. Queries before the audio is stored count as well. Ratios are
stable, times vary.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import django
from msgspec import structs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - models need the settings
from django.db import connection, connections  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from streams.journal.records import Handshake  # noqa: E402
from streams.sealing import queries, rows  # noqa: E402
from streams.sealing.digest import Digest, SealedSegment, SubscriptionFacts  # noqa: E402
from streams.sealing.rows import Addition, StoredSegment  # noqa: E402
from tests.streams.journals import handshake_of  # noqa: E402

CALLS = 200
ROUNDS = 3
BATCHES = (1, 5, 20, 50)
RATE = 16_000
SECONDS = 10
PCM = bytes(2 * RATE * SECONDS)
VOICES = ("8:acs:5a8a4e3c-0000-4000-8000-000000000000_agent", "4:+15550100")


def main() -> None:
    call_command("migrate", verbosity=0)
    files = [handshake_of(f"call {number} of process {os.getpid()}") for number in range(CALLS)]
    seal_in_batches(files, 20)
    print(f"{connection.vendor}, {CALLS} calls")
    for size in BATCHES:
        cpu, elapsed = [], []
        for _ in range(ROUNDS):
            files = next_files(files)
            started = time.process_time(), time.perf_counter()
            seal_in_batches(files, size)
            cpu.append((time.process_time() - started[0]) / CALLS * 1000)
            elapsed.append((time.perf_counter() - started[1]) / CALLS * 1000)
        files = next_files(files)
        with CaptureQueriesContext(connection) as statements:
            seal(files[:size])
        asked = len(statements) / size
        print(
            f"{size:3} files a batch: {min(cpu):5.2f} ms CPU, {min(elapsed):6.2f} ms, "
            f"{asked:5.2f} statements a file"
        )
    connections.close_all()


def next_files(files: Sequence[Handshake]) -> list[Handshake]:
    return [structs.replace(handshake, sequence=handshake.sequence + 1) for handshake in files]


def seal_in_batches(files: Sequence[Handshake], size: int) -> None:
    for start in range(0, len(files), size):
        seal(files[start : start + size])


def seal(files: Sequence[Handshake]) -> None:
    """Runs all queries and writes of the sealer for these files."""
    queries.sealed_among([(handshake.stream_id, handshake.sequence) for handshake in files])
    queries.other_sockets(files)
    rows.write([addition(handshake) for handshake in files], timezone.now())


def addition(handshake: Handshake) -> Addition:
    began_us = handshake.connected_at_us + handshake.sequence * SECONDS * 1_000_000
    segments = [
        SealedSegment(raw_id, 0, began_us * RATE // 1_000_000, RATE, PCM, 500) for raw_id in VOICES
    ]
    facts = SubscriptionFacts(0, handshake.connected_at_us, "subscription", "PCM", RATE, 1, 640.0)
    return Addition(
        Digest(handshake), [facts], [stored(handshake, one) for one in segments], VOICES, began_us
    )


def stored(handshake: Handshake, segment: SealedSegment) -> StoredSegment:
    name = f"{handshake.call_id}/{segment.raw_id}/{segment.start_sample}.flac"
    return StoredSegment(segment, "0" * 64, -6.0, -12.0, name, 100_000, bytes(20 * SECONDS))


if __name__ == "__main__":
    main()
