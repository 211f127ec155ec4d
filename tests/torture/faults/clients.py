"""Clients that flood, drip, hang, or connect in bursts, while other calls continue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from streams.journal import files, records
from streams.simulator import wire
from tests.torture.caller import METADATA, Caller
from tests.torture.media_socket import CONTINUATION, TEXT, MediaSocket, Refused, frame
from tests.torture.memory import Peak
from tests.torture.numbered import NumberedVoice
from tests.torture.trial import Fault, Trial

JOURNAL_MS = 50.0
"""99 of 100 packets of other calls are in the journal within this time."""
MAX_MB = 60.0
LEAST_SECONDS = 2.0
"""Minimum time to observe the other calls, because an attack may be very short."""
LONG_SEGMENTS = {"SEGMENT_SECONDS": "120"}
"""Keeps the journals of the trial available."""
TOO_BIG = 1009
HALF_OPEN_SECONDS = 60.0


async def beside(trial: Trial, attack: Callable[[Trial], Awaitable[None]]) -> None:
    """Runs two calls during `attack`; measures the delay of their packets, and memory."""
    site = await trial.install(LONG_SEGMENTS)
    (short,) = trial.call()
    await trial.some_time(0.5, 1.0)
    await short.end()
    await site.warm()
    callers = trial.call(2)
    await trial.some_time(1.5, 2.5)
    calm_ms = p99(delays_ms(site.journals(), callers, 0))
    async with Peak(site.process) as peak:
        since_us = time.time_ns() // 1000
        await asyncio.gather(attack(trial), asyncio.sleep(LEAST_SECONDS))
    delay_ms = p99(delays_ms(site.journals(), callers, since_us))
    trial.note(
        f"others in the journal: p99 {delay_ms:.1f} ms ({calm_ms:.1f} before); memory "
        f"{peak.grown_mb:+.1f} MB"
    )
    trial.expect(
        delay_ms <= JOURNAL_MS,
        f"packets of other calls in the journal after {delay_ms:.1f} ms (p99)",
    )
    trial.expect(peak.grown_mb <= MAX_MB, f"memory grew by {peak.grown_mb:.1f} MB")
    await trial.end_calls()


def delays_ms(journals: Sequence[Path], callers: Sequence[Caller], since_us: int) -> list[float]:
    """Returns the delays from caller to journal of all packets sent since `since_us`."""
    sent = {
        (
            caller.connection_id,
            raw_id,
            caller.started_us + caller.stamp_ms(packet.number) * 1000,
        ): packet.at_us
        for caller in callers
        for raw_id, packets in caller.sent.items()
        for packet in packets
        if packet.at_us >= since_us
    }
    arrived = (found for path in journals for found in _arrivals(path))
    return [(at_us - sent[key]) / 1000 for key, at_us in arrived if key in sent]


def _arrivals(path: Path) -> Iterator[tuple[tuple[str, str, int], int]]:
    with suppress(FileNotFoundError):  # a journal of the attacker, sealed at this moment
        yield from _audio(path)


def _audio(path: Path) -> Iterator[tuple[tuple[str, str, int], int]]:
    connection_id = ""
    voices: dict[int, str] = {}
    for record in files.read(path):
        if isinstance(record, records.Handshake):
            connection_id = record.call_connection_id
        elif isinstance(record, records.Voice):
            voices[record.index] = record.raw_id
        elif isinstance(record, records.Audio) and record.timestamp_us is not None:
            yield (connection_id, voices[record.voice], record.timestamp_us), record.arrived_us


def p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else float("inf")


async def opened(trial: Trial) -> MediaSocket:
    """Opens the attacker's media socket and sends metadata."""
    attacker = await MediaSocket.open(trial.site.server.media_url)
    await attacker.send(wire.audio_metadata("attacker", METADATA))
    return attacker


async def flood(trial: Trial, *, times: float | None, repeat: bool = False) -> None:
    """Sends on one socket at `times` real time, or at full speed if None."""
    attacker, voice = await opened(trial), NumberedVoice(1)
    started_us = time.time_ns() // 1_000_000 * 1000
    loop = asyncio.get_running_loop()
    started, sent = loop.time(), 0
    with suppress(OSError):
        while (passed := loop.time() - started) < (20 if trial.long else 4):
            if times is not None and sent >= passed * 50 * times:
                await asyncio.sleep(0.005)
                continue
            number = (
                sent % 500 if repeat else sent
            )  # its own timestamps and audio for each packet, or the same again
            stamp_us = started_us + number * 20_000
            await attacker.send(
                wire.audio_data(stamp_us, "flood", voice.packet(number % 500), silent=False)
            )
            sent += 1
            await asyncio.sleep(0)
    trial.note(f"{sent / (loop.time() - started):.0f} messages/s")
    await attacker.abort()


async def fragments(trial: Trial) -> None:
    """Sends messages in frames of one byte, and a frame byte by byte."""
    attacker, voice = await opened(trial), NumberedVoice(2)
    with suppress(OSError):
        for number in range(20):
            message = wire.audio_data(
                number * 20_000, "drip", voice.packet(number), silent=False
            ).encode()
            pieces = [message[place : place + 1] for place in range(len(message))]
            frames = [
                frame(CONTINUATION if place else TEXT, piece, final=place == len(pieces) - 1)
                for place, piece in enumerate(pieces)
            ]
            for piece in frames if number % 2 else [bytes([byte]) for byte in frame(TEXT, message)]:
                await attacker.send_raw(piece)
                await asyncio.sleep(0)
    await attacker.abort()


async def big_message(trial: Trial) -> None:
    """Sends 2 MB in one message, for which the socket must be closed."""
    attacker = await opened(trial)
    with suppress(OSError):
        await attacker.send("x" * 2_000_000)
    with suppress(TimeoutError):
        await asyncio.wait_for(attacker.closed.wait(), 10)
    trial.note(f"closed with {attacker.close_code}")
    trial.expect(attacker.closed.is_set(), "a message of 2 MB is accepted")
    await attacker.abort()


async def handshakes(trial: Trial) -> None:
    """Performs handshakes at 1,000 per second, and closes each socket at once."""
    count = 5_000 if trial.long else 500
    refused = 0
    started = time.monotonic()

    async def knock() -> None:
        nonlocal refused
        try:
            attacker = await MediaSocket.open(trial.site.server.media_url)
            await attacker.abort()
        except (OSError, Refused, TimeoutError):
            refused += 1

    knocking: set[asyncio.Task[None]] = set()
    for number in range(count):
        knocking.add(asyncio.create_task(knock()))
        await asyncio.sleep(max(0.0, started + number / 1000 - time.monotonic()))
    await asyncio.gather(*knocking)
    trial.note(f"{count} handshakes in {time.monotonic() - started:.1f} s, {refused} refused")


async def idle(trial: Trial) -> None:
    """Opens silent sockets; their descriptors must be released after they close."""
    count = 2_000 if trial.long else 300
    before = trial.site.descriptors()
    attackers = [await MediaSocket.open(trial.site.server.media_url) for _ in range(count)]
    await trial.some_time(2.0, 3.0)
    for attacker in attackers:
        await attacker.abort()
    await trial.site.until(
        lambda: trial.site.descriptors() <= before + 3,
        "descriptors of idle sockets are released",
        seconds=20,
    )
    trial.note(f"{count} idle sockets")


async def half_open(trial: Trial) -> None:
    """Opens a socket that never completes the handshake, and one that never answers a ping: both
    must be closed within a minute.
    """
    before = trial.site.descriptors()
    silent = await opened(trial)
    await silent.stop_reading()
    reader, writer = await asyncio.open_connection("127.0.0.1", trial.site.server.port)
    writer.write(b"GET /ws/acs/media HTTP/1.1\r\nHost: localhost\r\nUpgr")
    started = time.monotonic()
    await trial.site.until(
        lambda: trial.site.descriptors() <= before,
        "half-open sockets are closed",
        seconds=HALF_OPEN_SECONDS + 5,
    )
    trial.note(f"both closed after {time.monotonic() - started:.0f} s")
    del reader
    writer.close()
    await silent.abort()


def attack(
    name: str, what: Callable[[Trial], Awaitable[None]], *, long_only: bool = False
) -> Fault:
    async def inject(trial: Trial) -> None:
        await beside(trial, what)

    return Fault(
        name, "others: 0 ms, in the journal in 50 ms; memory bounded", inject, long_only=long_only
    )


async def flood_10(trial: Trial) -> None:
    await flood(trial, times=10)


async def flood_full(trial: Trial) -> None:
    await flood(trial, times=None)


async def flood_again(trial: Trial) -> None:
    await flood(trial, times=None, repeat=True)


FAULTS = (
    attack("flood-10x", flood_10),
    attack("flood-full", flood_full),
    attack("flood-repeats", flood_again, long_only=True),
    attack("fragments", fragments),
    attack("message-2mb", big_message),
    attack("handshakes", handshakes),
    attack("idle-sockets", idle),
    attack("half-open", half_open, long_only=True),
)
