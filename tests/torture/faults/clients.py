"""Clients that flood, drip, hang, or come in crowds, while other calls go on beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from streams.journal import files, records
from streams.simulator import wire
from tests.torture.caller import METADATA, Caller
from tests.torture.media_socket import CONTINUATION, TEXT, MediaSocket, Refused, frame
from tests.torture.memory import Peak
from tests.torture.numbered import NumberedVoice
from tests.torture.trial import Fault, Trial

JOURNAL_MS = 50.0
"""A packet of another call is in the journal within this, 99 of 100 times."""
MAX_MB = 60.0
LEAST_SECONDS = 2.0
"""An attack may be over in no time; the others are watched for at least so long."""
LONG_SEGMENTS = {"SEGMENT_SECONDS": "120"}
"""So that the journals of the trial are still there to be read."""
TOO_BIG = 1009
HALF_OPEN_SECONDS = 60.0


async def beside(trial: Trial, attack: Callable[[Trial], Awaitable[None]]) -> None:
    """Two calls go on while `attack` lasts; how soon their packets are in the journal, how much
    memory it took.
    """
    site = await trial.install(LONG_SEGMENTS)
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
        f"packets of other calls in the journal only after {delay_ms:.1f} ms (p99)",
    )
    trial.expect(peak.grown_mb <= MAX_MB, f"memory grew by {peak.grown_mb:.1f} MB")
    await trial.end_calls()


def delays_ms(journals: Sequence[Path], callers: Sequence[Caller], since_us: int) -> list[float]:
    """From the hand of the caller to the journal, of every packet sent since."""
    sent = {
        (
            caller.connection_id,
            raw_id,
            caller.began_us + caller.stamp_ms(packet.number) * 1000,
        ): packet.at_us
        for caller in callers
        for raw_id, packets in caller.sent.items()
        for packet in packets
        if packet.at_us >= since_us
    }
    arrived = (found for path in journals for found in _arrivals(path))
    return [(at_us - sent[key]) / 1000 for key, at_us in arrived if key in sent]


def _arrivals(path: Path) -> Iterator[tuple[tuple[str, str, int], int]]:
    with suppress(FileNotFoundError):  # a stranger's, sealed this moment
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
    """A stranger's media socket, metadata sent."""
    made = await MediaSocket.open(trial.site.server.media_url)
    await made.send(wire.audio_metadata("stranger", METADATA))
    return made


async def flood(trial: Trial, *, times: float | None, repeat: bool = False) -> None:
    """One socket sends `times` as fast as real time; None: as fast as it goes."""
    stranger, voice = await opened(trial), NumberedVoice(1)
    began_us = time.time_ns() // 1_000_000 * 1000
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    with suppress(OSError):
        while (passed := loop.time() - began) < (20 if trial.long else 4):
            if times is not None and sent >= passed * 50 * times:
                await asyncio.sleep(0.005)
                continue
            number = (
                sent % 500 if repeat else sent
            )  # its own timestamps and audio for each packet, or the same again
            stamp_us = began_us + number * 20_000
            await stranger.send(
                wire.audio_data(stamp_us, "flood", voice.packet(number % 500), silent=False)
            )
            sent += 1
            await asyncio.sleep(0)
    trial.note(f"{sent / (loop.time() - began):.0f} messages a second")
    await stranger.abort()


async def fragments(trial: Trial) -> None:
    """Messages in frames of one byte, and the bytes of a frame one by one."""
    stranger, voice = await opened(trial), NumberedVoice(2)
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
                await stranger.send_raw(piece)
                await asyncio.sleep(0)
    await stranger.abort()


async def big_message(trial: Trial) -> None:
    """2 MB in one message: the socket is closed for it."""
    stranger = await opened(trial)
    with suppress(OSError):
        await stranger.send("x" * 2_000_000)
    with suppress(TimeoutError):
        await asyncio.wait_for(stranger.closed.wait(), 10)
    trial.note(f"closed with {stranger.close_code}")
    trial.expect(stranger.closed.is_set(), "a message of 2 MB is taken")
    await stranger.abort()


async def handshakes(trial: Trial) -> None:
    """As many handshakes as a thousand a second would be, each socket closed at once."""
    wanted = 5_000 if trial.long else 500
    refused = 0
    began = time.monotonic()

    async def knock() -> None:
        nonlocal refused
        try:
            stranger = await MediaSocket.open(trial.site.server.media_url)
            await stranger.abort()
        except (OSError, Refused, TimeoutError):
            refused += 1

    knocking: set[asyncio.Task[None]] = set()
    for number in count():
        if number == wanted:
            break
        knocking.add(asyncio.create_task(knock()))
        await asyncio.sleep(max(0.0, began + number / 1000 - time.monotonic()))
    await asyncio.gather(*knocking)
    trial.note(f"{wanted} handshakes in {time.monotonic() - began:.1f} s, {refused} refused")


async def idle(trial: Trial) -> None:
    """Sockets that are open and say nothing; their descriptors are free when they are gone."""
    wanted = 2_000 if trial.long else 300
    before = trial.site.descriptors()
    strangers = [await MediaSocket.open(trial.site.server.media_url) for _ in range(wanted)]
    await trial.some_time(2.0, 3.0)
    for stranger in strangers:
        await stranger.abort()
    await trial.site.until(
        lambda: trial.site.descriptors() <= before + 3,
        "descriptors of idle sockets are free again",
        seconds=20,
    )
    trial.note(f"{wanted} idle sockets")


async def half_open(trial: Trial) -> None:
    """One who never ends the handshake, one who never answers a ping: both are gone within a
    minute.
    """
    before = trial.site.descriptors()
    silent = await opened(trial)
    await silent.stop_reading()
    reader, writer = await asyncio.open_connection("127.0.0.1", trial.site.server.port)
    writer.write(b"GET /ws/acs/media HTTP/1.1\r\nHost: localhost\r\nUpgr")
    began = time.monotonic()
    await trial.site.until(
        lambda: trial.site.descriptors() <= before,
        "half-open sockets are closed",
        seconds=HALF_OPEN_SECONDS + 5,
    )
    trial.note(f"both gone after {time.monotonic() - began:.0f} s")
    del reader
    writer.close()
    await silent.abort()


def attack(
    name: str, what: Callable[[Trial], Awaitable[None]], *, long_only: bool = False
) -> Fault:
    async def inject(trial: Trial) -> None:
        await beside(trial, what)

    return Fault(
        name, "0 ms of others, in the journal in 50 ms, memory bounded", inject, long_only=long_only
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
