"""Many short calls: the process uses as many resources afterwards as before."""

from __future__ import annotations

import asyncio

from streams.simulator import wire
from tests.torture.caller import METADATA
from tests.torture.media_socket import MediaSocket
from tests.torture.memory import descriptors, threads
from tests.torture.numbered import PACKET_SAMPLES, NumberedVoice
from tests.torture.trial import Fault, Trial

PACKETS = 10
AT_ONCE = 20
MORE_DESCRIPTORS, MORE_THREADS = 3, 2
MAX_MB = 20.0
STORED = "SELECT COUNT(*), SUM(sample_count) FROM calls_segment"


async def short_calls(trial: Trial) -> None:
    """Checks that all are stored completely, and that memory, threads and descriptors return."""
    site = await trial.install({"RECONNECT_GRACE_SECONDS": "0"})
    count = 10_000 if trial.long else 200
    # one-time imports and allocations, in two processes: memory is level after thousands
    warm = max(2 * AT_ONCE, count // 5)
    await make_calls(trial, warm)
    await site.sealed()
    process = site.process
    before = descriptors(process), threads(process), site.memory_mb()
    await make_calls(trial, count)
    await site.sealed(seconds=600)
    await site.until(
        lambda: descriptors(process) <= before[0] + MORE_DESCRIPTORS, "descriptors are released"
    )
    await site.until(lambda: threads(process) <= before[1] + MORE_THREADS, "threads have ended")
    grown_mb = site.memory_mb() - before[2]
    trial.note(
        f"{count} calls: descriptors {before[0]} -> {descriptors(process)}, "
        f"threads {before[1]} -> {threads(process)}, memory {before[2]:.0f} MB {grown_mb:+.1f} MB"
    )
    trial.expect(grown_mb <= MAX_MB, f"memory grew by {grown_mb:.1f} MB")
    expect_stored(trial, count + warm)
    trial.findings.broken += await site.faults()


def expect_stored(trial: Trial, calls: int) -> None:
    """Checks that all segments and samples of `calls` calls are stored."""
    ((segments, samples),) = trial.site.database.query(trial.site.database_url, STORED)
    trial.findings.packets_sent, trial.findings.packets_stored = (
        calls * PACKETS,
        int(samples) // PACKET_SAMPLES,
    )
    trial.expect(segments == calls, f"{segments} segments of {calls} calls")
    trial.expect(samples == calls * PACKETS * PACKET_SAMPLES, f"{samples} samples of {calls} calls")


async def make_calls(trial: Trial, number: int) -> None:
    left = iter(range(number))

    async def call_after_call() -> None:
        for each in left:
            await short_call(trial.site.server.media_url, NumberedVoice(each))

    await asyncio.gather(*(call_after_call() for _ in range(AT_ONCE)))


async def short_call(url: str, voice: NumberedVoice) -> None:
    socket = await MediaSocket.open(url)
    await socket.send(wire.audio_metadata("short", METADATA))
    for number in range(PACKETS):
        await socket.send(
            wire.audio_data(number * 20_000, "4:+15550100", voice.packet(number), silent=False)
        )
    await socket.close()


FAULTS = (Fault("short-calls", "0 ms; memory, threads, descriptors as before", short_calls),)
