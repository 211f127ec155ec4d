"""One simulated ACS call that records for each packet its time, socket and byte offset."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from streams.simulator import wire
from streams.simulator.scenario.schedule import AudioFormat
from tests.torture.media_socket import MediaSocket, Refused
from tests.torture.numbered import PACKET_MS, PACKET_SAMPLES, SAMPLE_RATE, NumberedVoice

METADATA = AudioFormat(SAMPLE_RATE, 2 * PACKET_SAMPLES)
RETRY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Sent:
    """Packet `number` of a voice, handed to the kernel at `at_us`. Its last byte is byte `offset`
    of socket number `socket`.
    """

    number: int
    at_us: int
    socket: int
    offset: int


class Caller:
    """A call: `start` it, then `end` it. With `reconnects` it reconnects when its socket breaks, as
    ACS does; otherwise it ends then.

    Packet n of every voice is spoken n * 20 ms after the start, whether it can be sent or not.
    """

    def __init__(self, url: str, seed: int, *, voices: int = 2, reconnects: bool = True) -> None:
        self.url = url
        self.reconnects = reconnects
        self.connection_id = str(uuid4())
        self.voices = {
            f"4:+1555{seed % 10_000:04d}{index:02d}": NumberedVoice(seed + index)
            for index in range(voices)
        }
        self.sent: dict[str, list[Sent]] = {raw_id: [] for raw_id in self.voices}
        self.started_us = 0
        self.refused: Counter[int] = Counter()
        self.unreachable = 0
        self.close_codes: list[int | None] = []
        self.read_up_to: dict[
            int, int
        ] = {}  # socket -> bytes the server had read when it was stopped
        self.gave_up = False
        self.socket: MediaSocket | None = None
        self._sockets = 0
        self._began = 0.0
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def packets_sent(self) -> int:
        return sum(len(sent) for sent in self.sent.values())

    def start(self) -> Caller:
        self.started_us = time.time_ns() // 1_000_000 * 1000
        self._began = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._play(), name=f"caller {self.connection_id}")
        return self

    async def end(self) -> None:
        """Closes the socket normally after the current packet. Raises any error of the caller."""
        self._ending.set()
        if self._task:
            await self._task

    async def over(self) -> None:
        """Waits for the end of a call that does not reconnect."""
        assert self._task, "the call has started"
        await self._task

    async def drop(self) -> None:
        """Ends the call at once, in any state."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._drop_socket()

    def note_read_bytes(self) -> None:
        """Records how much the stopped server has read of the open socket."""
        if self.socket and not self.socket.closed.is_set():
            self.read_up_to[self._sockets] = self.socket.bytes_read_by_server()

    def unread_ms(self) -> int:
        """Returns how many ms of its audio the server has not read from the open socket."""
        if not self.socket or self.socket.closed.is_set():
            return 0
        read, socket = self.socket.bytes_read_by_server(), self._sockets
        return max(
            PACKET_MS * sum(each.socket == socket and each.offset > read for each in sent)
            for sent in self.sent.values()
        )

    def was_read(self, sent: Sent) -> bool:
        """Returns whether the server had certainly read the packet when it was stopped."""
        return sent.offset <= self.read_up_to.get(sent.socket, sent.offset)

    async def _play(self) -> None:
        while not self._ending.is_set() and not self.gave_up:
            if not await self._connect():
                await asyncio.sleep(RETRY_SECONDS)
                continue
            with suppress(OSError):
                await self._send_packets()
            if self._ending.is_set():
                await self._close()
            else:
                await self._drop_socket()
                self.gave_up = not self.reconnects

    def stamp_ms(self, number: int) -> int:
        """Returns the timestamp of a packet in ms after the start of the call."""
        return number * PACKET_MS

    async def _send_packets(self) -> None:
        """Sends packets until the socket breaks or the call ends. Raises `OSError`."""
        assert self.socket, "a caller sends over a socket"
        number = self._due() + 1
        await self.socket.send(wire.audio_metadata(self.connection_id, METADATA))
        while not (self._ending.is_set() or self.socket.closed.is_set()):
            while number <= self._due():
                await self._send_packet(number)
                number += 1
            await asyncio.sleep(
                self._began + number * PACKET_MS / 1000 - asyncio.get_running_loop().time()
            )

    async def _connect(self) -> bool:
        try:
            self.socket = await MediaSocket.open(
                self.url, {wire.CONNECTION_ID_HEADER: self.connection_id}
            )
        except Refused as refused:
            self.refused[refused.status] += 1
        except (OSError, TimeoutError):
            self.unreachable += 1
        else:
            self._sockets += 1
            return True
        return False

    async def _send_packet(self, number: int) -> None:
        assert self.socket, "a caller sends over a socket"
        timestamp_us = self.started_us + self.stamp_ms(number) * 1000
        for raw_id, voice in self.voices.items():
            text = wire.audio_data(timestamp_us, raw_id, voice.packet(number), silent=False)
            at_us = time.time_ns() // 1000
            offset = await self.socket.send(text)
            self.sent[raw_id].append(Sent(number, at_us, self._sockets, offset))

    async def _drop_socket(self) -> None:
        if self.socket:
            await self.socket.abort()
            self.close_codes.append(self.socket.close_code)
        self.socket = None

    async def _close(self) -> None:
        if self.socket:
            await self.socket.close()
            self.close_codes.append(self.socket.close_code)
            self.socket = None

    def _due(self) -> int:
        return int((asyncio.get_running_loop().time() - self._began) * 1000) // PACKET_MS
