"""The load generator: a separate process that sends a `LoadPlan` on time, and reports its own
delays.

    python -m bench.generator < plan.json

Standard output gets one JSON line when the measured window starts, one when it ends, and one with
the report when all sockets are closed. It is one plain loop over non-blocking sockets. Both packets
of a call are one `send`, so that one core can feed more calls than the best server can take.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.frames import PACKET_SAMPLES, PACKET_US, SAMPLE_RATE, Clock, place_in_ring, turns
from bench.histogram import Histogram
from bench.plan import VOICES, CallPlan, LoadPlan
from streams.simulator import wire
from streams.simulator.scenario.schedule import AudioFormat
from tests.torture.media_socket import CLOSE, PING, PONG, TEXT, frame, frame_in, request

START_SECONDS = 1.0
CLOSE_SECONDS = 15.0
MAX_PENDING_BYTES = 8 * 1024 * 1024
"""Unsent bytes of one call at which the server counts as not reading."""
POLL_US = 300
"""If the next packet is due sooner than this, the time is not used for reading."""


class Call:
    """One socket: `open` it, `send` each turn once the server has answered, then `leave`."""

    def __init__(self, plan: CallPlan) -> None:
        self.plan = plan
        self.socket = socket.socket()
        self.ring = turns(plan.raw_ids, plan.index)
        self.talks = False
        self.broken = ""
        self.turns_sent = 0
        self.bytes_sent = 0
        self.begun_us = 0
        self._pending = bytearray()
        self._received = b""

    def open(self) -> None:
        parts = urlsplit(self.plan.url)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        headers = {wire.CONNECTION_ID_HEADER: self.plan.connection_id}
        self.socket.sendall(request(f"{parts.path}?{parts.query}", parts.netloc, headers))

    def send(self, moment: bytes, due_us: int) -> None:
        """Sends the next turn with its timestamp. The unsent rest goes out before the next turn."""
        if self.turns_sent == 0:
            self.begun_us = due_us
        content = self.ring[place_in_ring(self.turns_sent)].stamp(moment)
        self.turns_sent += 1
        if self._pending:
            self._pending += content
            self._push()
            return
        try:
            sent = self.socket.send(content)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(f"broken: {error.strerror}")
            return
        self.bytes_sent += sent
        if sent != len(content):
            self._pending += content[sent:]

    def read(self) -> None:
        """Reads from the server: the answer to the handshake, pings, a close."""
        try:
            received = self.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(f"broken: {error.strerror}")
            return
        if not received:
            self._break("closed by the server")
            return
        self._received += received
        if self.talks or self._has_been_let_in():
            while (found := frame_in(self._received)) is not None:
                kind, payload, self._received = found
                self._heed(kind, payload)

    def leave(self) -> None:
        """Sends a close frame after all pending data."""
        self._pending += frame(CLOSE, (1000).to_bytes(2, "big"))
        self._push()

    @property
    def is_over(self) -> bool:
        return self.socket.fileno() < 0

    def push(self) -> None:
        """Retries sending pending data."""
        if self._pending and not self.is_over:
            self._push()

    def _has_been_let_in(self) -> bool:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            self._break(f"refused: {head.split(b' ', 2)[1].decode()}")
            return False
        self._received = rest
        self.talks = True
        metadata = wire.audio_metadata(
            self.plan.connection_id, AudioFormat(SAMPLE_RATE, 2 * PACKET_SAMPLES)
        )
        self._pending += frame(TEXT, metadata.encode())
        self._push()
        return True

    def _heed(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self._pending += frame(PONG, payload)
            self._push()
        elif kind == CLOSE:
            self._break(f"closed by the server with {int.from_bytes(payload[:2], 'big')}")

    def _push(self) -> None:
        try:
            sent = self.socket.send(self._pending)
            del self._pending[:sent]
            self.bytes_sent += sent
        except BlockingIOError:
            if len(self._pending) > MAX_PENDING_BYTES:
                self._break("the server does not read")
        except OSError as error:
            self._break(f"broken: {error.strerror}")

    def _break(self, reason: str) -> None:
        self.talks = False
        self.broken = reason
        self.socket.close()

    def report(self) -> dict[str, Any]:
        return {
            "index": self.plan.index,
            "begun_us": self.begun_us,
            "packets": VOICES * self.turns_sent,
        }


class Generator:
    """Runs the load; `run` it once."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._calls = [Call(one) for one in plan.calls]
        self._by_descriptor = {call.socket.fileno(): call for call in self._calls}
        self._poll = select.epoll()
        self._late = Histogram()
        self._clock = Clock()
        self._window_packets = 0
        self._cpu_before = time.process_time()

    def run(self) -> None:
        begun_us = (time.time_ns() // 1_000_000 + int(START_SECONDS * 1000)) * 1000
        first, end = self._plan.window
        for period in range(end):
            if period == first:
                say({"event": "window"})
            self._read()
            for call in self._calls:
                self._serve(call, period, begun_us + period * PACKET_US + call.plan.offset_us)
        say({"event": "end"})
        broken = {
            call.plan.index: call.broken or "refused" for call in self._calls if not call.talks
        }
        self._leave()
        say(self._report(begun_us, broken))

    def _serve(self, call: Call, period: int, due_us: int) -> None:
        if period < call.plan.first_period or call.broken:
            if period == max(0, call.plan.first_period - 25):
                self._open(call)
            return
        now_us = time.time_ns() // 1000
        if now_us < due_us:
            now_us = self._wait(due_us)
        if not call.talks:
            return
        call.send(self._clock.stamp(due_us), due_us)
        if period >= self._plan.window[0]:
            self._late.add(now_us - due_us)
            self._window_packets += VOICES

    def _wait(self, due_us: int) -> int:
        """Waits until the moment has come, and reads meanwhile if there is time."""
        now_us = time.time_ns() // 1000
        if due_us - now_us > POLL_US:
            self._read()
            now_us = time.time_ns() // 1000
        while now_us < due_us:
            time.sleep((due_us - now_us) / 1_000_000)
            now_us = time.time_ns() // 1000
        return now_us

    def _open(self, call: Call) -> None:
        call.open()
        self._poll.register(call.socket.fileno(), select.EPOLLIN)

    def _read(self) -> None:
        for descriptor, _event in self._poll.poll(0):
            self._by_descriptor[descriptor].read()

    def _leave(self) -> None:
        for call in self._calls:
            if call.talks:
                call.leave()
        deadline = time.monotonic() + CLOSE_SECONDS
        while time.monotonic() < deadline and not all(call.is_over for call in self._calls):
            for descriptor, _event in self._poll.poll(0.1):
                self._by_descriptor[descriptor].read()
            for call in self._calls:
                call.push()

    def _report(self, begun_us: int, broken: dict[int, str]) -> dict[str, Any]:
        first, end = self._plan.window
        return {
            "event": "report",
            "window_us": [begun_us + first * PACKET_US, begun_us + end * PACKET_US],
            "window_packets": self._window_packets,
            "late": self._late.trimmed(),
            "bytes_sent": sum(call.bytes_sent for call in self._calls),
            "started_us": begun_us,
            "cpu_seconds": time.process_time() - self._cpu_before,
            "broken": broken,
            "calls": [call.report() for call in self._calls],
        }


def say(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


def main() -> None:
    Generator(msgspec.json.decode(sys.stdin.buffer.read(), type=LoadPlan)).run()


if __name__ == "__main__":
    main()
