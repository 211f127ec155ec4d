"""A board with streams and a clock, for tests."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from calls.live.messages import (
    CallData,
    News,
)
from streams.ingest.stream import Stream
from streams.live.board import Board
from tests.streams.streams import (
    START_US,
    Clock,
    close,
    metadata,
    open_stream,
)

TICK = 0.1


GRACE_SECONDS = 10.0


FULL_SCALE = b"\xff\x7f" * 320


QUIET = b"\x01\x00" * 320


class BoardTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.board = Board("process", GRACE_SECONDS)
        self.clock = Clock()
        self.now = 100.0
        self.streams: list[Stream] = []
        self.addCleanup(self.close_all)

    def close_all(self) -> None:
        for stream in self.streams:
            if stream.closed is None:
                close(stream)

    def stream(self, connection: str = "connection", *, connected_at_us: int = START_US) -> Stream:
        """Returns an open stream on the board that has announced its audio."""
        stream = open_stream(
            self.folder, connection, clock=self.clock, connected_at_us=connected_at_us
        )
        stream.receive(metadata())
        self.streams.append(stream)
        self.board.add(stream)
        return stream

    def tick(self, *, after: float = TICK) -> News:
        self.now += after
        self.clock.now += round(after * 1_000_000)
        return self.board.tick(self.now)

    def calls(self, *, after: float = TICK) -> list[CallData]:
        return self.tick(after=after)["calls"]

    def levels(self) -> dict[str, list[float]]:
        return self.tick()["levels"]
