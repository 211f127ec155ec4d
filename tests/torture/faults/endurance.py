"""Many short calls: what the process holds afterwards is what it held before."""

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
    """All are stored whole; memory, threads and descriptors are where they were."""
    site = await trial.install({"RECONNECT_GRACE_SECONDS": "0"})
    wanted = 10_000 if trial.long else 200
    warm = max(
        2 * AT_ONCE, wanted // 5
    )  # what is imported and allocated once, in two processes: level after thousands
    await make_calls(trial, warm)
    await site.sealed()
    process = site.process
    before = descriptors(process), threads(process), site.memory_mb()
    await make_calls(trial, wanted)
    await site.sealed(seconds=600)
    await site.until(
        lambda: descriptors(process) <= before[0] + MORE_DESCRIPTORS, "descriptors are free again"
    )
    await site.until(lambda: threads(process) <= before[1] + MORE_THREADS, "threads have ended")
    grown_mb = site.memory_mb() - before[2]
    trial.note(
        f"{wanted} calls: descriptors {before[0]} -> {descriptors(process)}, threads {before[1]} "
        f"-> "
        f"{threads(process)}, memory {before[2]:.0f} MB {grown_mb:+.1f} MB"
    )
    trial.expect(grown_mb <= MAX_MB, f"memory grew by {grown_mb:.1f} MB")
    ((segments, samples),) = site.database.query(site.database_url, STORED)
    calls = wanted + warm
    trial.findings.packets_sent, trial.findings.packets_stored = (
        calls * PACKETS,
        int(samples) // PACKET_SAMPLES,
    )
    trial.expect(segments == calls, f"{segments} segments of {calls} calls")
    trial.expect(samples == calls * PACKETS * PACKET_SAMPLES, f"{samples} samples of {calls} calls")
    trial.findings.broken += await site.faults()


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
