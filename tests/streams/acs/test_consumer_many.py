"""Many media sockets at once, and one that takes all it can get: nobody else pays, nothing is
left.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from django.test import tag

from calls.models import Segment
from streams.acs import consumer as consumers
from tests.streams.media_sockets import MediaSocketTestCase
from tests.streams.streams import audio, metadata
from tests.waiting import until

SHORT_SOCKETS = 200


class ManySockets(MediaSocketTestCase):
    async def test_a_flood_on_one_lets_another_have_its_turn(self) -> None:
        async with self.connected() as flooding, self.connected() as calm:
            flooded, calmed = self.recorder._streams
            flood = [metadata(), *[audio()] * 5_000]
            for message in flood:
                flooding.input_queue.put_nowait({"type": "websocket.receive", "text": message})
            calm.input_queue.put_nowait({"type": "websocket.receive", "text": audio()})
            while not calmed.tally.audio:  # noqa: ASYNC110 - turn by turn is what is tested
                await asyncio.sleep(0)
            self.assertLess(flooded.tally.audio, 10 * consumers.YIELD_EVERY)
            await self.received(flooded, len(flood))

    async def test_that_come_or_go_together_have_a_turn_each(self) -> None:
        sockets = [self.socket() for _ in range(30)]

        def is_open() -> int:
            return self.recorder.stats().open_streams

        async def one_by_one(wanted: int) -> None:
            while (before := is_open()) != wanted:
                await asyncio.sleep(0)
                self.assertLessEqual(abs(is_open() - before), 1)

        for socket in sockets:
            await socket.send_input({"type": "websocket.connect"})
        await one_by_one(30)
        for socket in sockets:
            socket.input_queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await one_by_one(0)
        await asyncio.gather(*(socket.wait(timeout=10) for socket in sockets))

    @tag(
        "once"
    )  # the sockets of Postgres and Redis cannot be told from ours, and their pools come and go
    async def test_that_are_short_leave_no_task_no_descriptor_and_no_thread(self) -> None:
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
        """Descriptors, threads and tasks of this process.

        Those of the database are left out: SQLite keeps some open for as long as another connection
        holds a lock.
        """
        names = [
            entry.readlink().name for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
        ]
        descriptors = [name for name in names if not name.startswith("test.sqlite3")]
        return len(descriptors), threading.active_count(), len(asyncio.all_tasks())
