"""ACS's socket on the real application, without a server: its client, and the spool it
records to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from channels.testing import WebsocketCommunicator
from django.test import TransactionTestCase

from acsmedia.asgi import Application
from calls.live.messages import News
from streams.acs.auth import HandshakeAuth
from streams.ingest.stream import Stream
from streams.recorder import Recorder
from tests.waiting import until

CONNECTION, CORRELATION = "411f0b00-1", "8f3e"
NAMED = (
    (b"x-ms-call-connection-id", CONNECTION.encode()),
    (b"x-ms-call-correlation-id", CORRELATION.encode()),
)
MEDIA = "/ws/acs/media"

Headers = Sequence[tuple[bytes, bytes]]


async def nobody(_news: News) -> None:
    """Drops news: no dashboard is connected."""


class MediaSocketTestCase(TransactionTestCase):
    """`self.application` records to `self.spool`; it accepts every handshake unless a test replaces
    it.
    """

    def setUp(self) -> None:
        self.spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
        self.recorder = Recorder(
            self.spool, segment_seconds=10.0, fsync_seconds=0.02, grace_seconds=0.0, publish=nobody
        )
        self.addCleanup(self.stop)
        self.application = Application(self.recorder, HandshakeAuth("off"))

    def stop(self) -> None:
        """Ends the recorder, and waits for a file being sealed, which would otherwise write to the
        next test.
        """
        running = self.recorder._running
        self.recorder.stop()
        if running:
            self.assertTrue(running.sealer.stop(60))

    def socket(
        self, headers: Headers = NAMED, *, path: str = MEDIA, supports_status: bool = False
    ) -> WebsocketCommunicator:
        """Returns a handshake; `says_status`: the server supports HTTP statuses as a response."""
        socket = WebsocketCommunicator(self.application, path, [*headers])
        if supports_status:
            socket.scope["extensions"] = {"websocket.http.response": {}}
        return socket

    @asynccontextmanager
    async def connected(
        self, headers: Headers = NAMED, *, path: str = MEDIA
    ) -> AsyncIterator[WebsocketCommunicator]:
        """Connects a socket; at the end of the block the application has finished with it."""
        socket = self.socket(headers, path=path)
        accepted, _subprotocol = await socket.connect(timeout=10)
        self.assertTrue(accepted)
        try:
            yield socket
        finally:
            await socket.disconnect(timeout=10)

    async def answer(self, socket: WebsocketCommunicator) -> int:
        """Returns the HTTP status of a refused handshake, after the application has finished with
        it.
        """
        await socket.send_input({"type": "websocket.connect"})
        start = await socket.receive_output(timeout=10)
        self.assertEqual(start["type"], "websocket.http.response.start")
        body = await socket.receive_output(timeout=10)
        self.assertEqual(
            (body["type"], body.get("more_body", False)), ("websocket.http.response.body", False)
        )
        await socket.wait(timeout=10)
        status: int = start["status"]
        return status

    async def closed(self, socket: WebsocketCommunicator) -> tuple[int, str]:
        """Returns code and reason with which the application closes an accepted socket."""
        message: dict[str, Any] = await socket.receive_output(timeout=10)
        self.assertEqual(message["type"], "websocket.close")
        await socket.wait(timeout=10)
        return message["code"], message["reason"]

    def stream(self) -> Stream:
        """Returns the only open stream."""
        [stream] = self.recorder._streams
        return stream

    async def received(self, stream: Stream, messages: int) -> None:
        """Returns when the stream has received this many messages."""
        tally = stream.tally
        outcomes = ("audio", "dtmf", "metadata", "other", "unknown", "malformed", "unwritten")
        await until(lambda: sum(getattr(tally, outcome) for outcome in outcomes) >= messages)
