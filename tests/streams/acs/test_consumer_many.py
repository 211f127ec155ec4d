"""Many media sockets at once, and one that floods: the others are served, and nothing leaks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from django.test import tag

from calls.models import Segment
from streams.acs import consumer as consumers
from tests.descriptors import open_paths
from tests.streams.media_sockets import MediaSocketTestCase
from tests.streams.streams import audio, metadata
from tests.waiting import until

SHORT_SOCKETS = 200


class ManySockets(MediaSocketTestCase):
    async def test_a_flood_on_one_does_not_starve_another(self) -> None:
        async with self.connected() as flooding, self.connected() as quiet:
            flooded_stream, quiet_stream = self.recorder._streams
            flood = [metadata(), *[audio()] * 5_000]
            for message in flood:
                flooding.input_queue.put_nowait({"type": "websocket.receive", "text": message})
            quiet.input_queue.put_nowait({"type": "websocket.receive", "text": audio()})
            while not quiet_stream.tally.audio:  # noqa: ASYNC110 - the test is about loop iterations
                await asyncio.sleep(0)
            self.assertLess(flooded_stream.tally.audio, 10 * consumers.YIELD_EVERY)
            await self.received(flooded_stream, len(flood))

    async def test_opened_or_closed_together_take_turns(self) -> None:
        sockets = [self.socket() for _ in range(30)]

        def open_streams() -> int:
            return self.recorder.stats().open_streams

        async def one_by_one(expected: int) -> None:
            while (before := open_streams()) != expected:
                await asyncio.sleep(0)
                self.assertLessEqual(abs(open_streams() - before), 1)

        for socket in sockets:
            await socket.send_input({"type": "websocket.connect"})
        await one_by_one(30)
        for socket in sockets:
            socket.input_queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await one_by_one(0)
        await asyncio.gather(*(socket.wait(timeout=10) for socket in sockets))

    @tag("once")  # sockets of Postgres and Redis look like ours, and their pools change
    async def test_short_ones_leak_no_task_descriptor_or_thread(self) -> None:
        async def one() -> None:
            async with self.connected(()) as socket:
                await socket.send_to(text_data=audio())

        await one()
        await self.all_is_sealed(1)
        before = self.held()
        for _ in range(SHORT_SOCKETS // 20):
            await asyncio.gather(*(one() for _ in range(20)))
        await self.all_is_sealed(1 + SHORT_SOCKETS)
        await until(
            lambda: self.held() == tuple(map(min, self.held(), before)),
            what=f"{self.held()}, was {before}",
        )
        self.assertEqual(self.recorder.stats().handshakes, {"accepted": 1 + SHORT_SOCKETS})

    async def all_is_sealed(self, segments: int) -> None:
        await until(lambda: not [*self.spool.glob("*/*.journal")])
        self.assertEqual(await Segment.objects.acount(), segments)

    def held(self) -> tuple[int, int, int]:
        """Counts descriptors, threads and tasks of this process.

        Descriptors of the database are excluded: SQLite keeps some open as long as another
        connection holds a lock.
        """
        descriptors = [
            path for path in open_paths() if not Path(path).name.startswith("test.sqlite3")
        ]
        return len(descriptors), threading.active_count(), len(asyncio.all_tasks())
