"""The recorder of one process: start, streams, rotation, ticker, counters, stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from django.test import TransactionTestCase
from redis.exceptions import ConnectionError as RedisUnreachable

from calls.live.messages import News
from calls.models import Call, Segment
from streams import recorder as module
from streams.acs.messages import ACS
from streams.ingest.stream import Stream
from streams.journal.files import JournalUnwritable
from streams.journal.records import Closed
from streams.journal.spool import abandoned
from streams.live import publisher
from streams.recorder import Recorder
from tests.descriptors import path_of
from tests.streams.streams import ALICE, PACKET, START_US, audio, metadata, pcm_in, records_in
from tests.waiting import PATIENCE_SECONDS, until

SEGMENT_SECONDS = 10.0


class Dashboards:
    """A fake channel layer: keeps news, fails or hangs."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.failure: Exception | None = None
        self.hangs = False
        self.attempts = 0

    async def __call__(self, news: News) -> None:
        self.attempts += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.news.append(news)


class RecorderTestCase(TransactionTestCase):
    def setUp(self) -> None:
        self.spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
        self.dashboards = Dashboards()
        self.recorder = self.make()
        self.addCleanup(self.recorder.stop)

    def make(
        self, publish: Callable[[News], Awaitable[None]] | None = None, **settings: Any
    ) -> Recorder:
        shape = {
            "segment_seconds": SEGMENT_SECONDS,
            "fsync_seconds": 0.05,
            "grace_seconds": 0.0,
            **settings,
        }
        return Recorder(self.spool, publish=publish or self.dashboards, **shape)

    def files(self, suffix: str) -> list[Path]:
        return sorted(self.spool.glob(f"*/*{suffix}"))


class Starting(RecorderTestCase):
    async def test_again_changes_nothing(self) -> None:
        self.recorder.start()
        self.recorder.start()
        self.assertEqual(len(self.files("owner.lock")), 1)

    async def test_no_stream_can_be_opened_before_it_or_after_the_stop(self) -> None:
        with self.assertRaises(JournalUnwritable):
            self.recorder.open("connection", "correlation", ACS)
        self.recorder.start()
        self.recorder.stop()
        with self.assertRaises(JournalUnwritable):
            self.recorder.open("connection", "correlation", ACS)

    async def test_fails_if_the_spool_cannot_be_created(self) -> None:
        self.spool.parent.joinpath("spool").write_text("a file, no folder")
        with self.assertRaises(OSError):
            self.recorder.start()


class Opening(RecorderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder.start()

    async def test_sockets_of_one_connection_belong_to_one_call(self) -> None:
        first, second = (
            self.recorder.open("connection", "", ACS),
            self.recorder.open("connection", "", ACS),
        )
        self.assertEqual(first.handshake.call_id, second.handshake.call_id)
        self.assertNotEqual(first.handshake.stream_id, second.handshake.stream_id)

    async def test_sockets_without_a_connection_id_are_separate_calls(self) -> None:
        first, second = self.recorder.open("", "", ACS), self.recorder.open("", "", ACS)
        self.assertNotEqual(first.handshake.call_id, second.handshake.call_id)

    async def test_the_id_of_a_call_is_the_same_in_every_process(self) -> None:
        other = self.make()
        other.start()
        self.addCleanup(other.stop)
        calls = {
            one.open("connection", "", ACS).handshake.call_id for one in (self.recorder, other)
        }
        self.assertEqual(len(calls), 1)


class Closing(RecorderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder.start()

    async def test_seals_at_once(self) -> None:
        stream = self.recorder.open("connection", "correlation", ACS)
        for number in range(5):
            stream.receive(audio(at=number))
        self.recorder.close(stream, 1000)
        await until(Segment.objects.filter(sample_count=5 * 320).aexists)
        await until(lambda: not self.files(".journal") and not self.files(".open"))
        call = await Call.objects.aget()
        self.assertEqual(
            (call.call_connection_id, call.correlation_id), ("connection", "correlation")
        )

    async def test_again_changes_nothing(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        self.recorder.close(stream, 1000)
        self.recorder.close(stream, 1006)
        assert stream.closed
        self.assertEqual(stream.closed.code, 1000)


class Rotating(RecorderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder.start()

    def open(self) -> Stream:
        self.stream = self.recorder.open("connection", "", ACS)
        return self.stream

    def tick(self, seconds: float) -> None:
        """Runs a tick `seconds` after the stream was opened, independent of the real clock."""
        self.started = getattr(self, "started", self.recorder._streams[self.stream])
        self.recorder.tick(self.started + seconds, START_US)

    async def test_happens_at_the_age_of_a_segment(self) -> None:
        self.open().receive(audio())
        self.tick(SEGMENT_SECONDS - 0.11)
        self.assertEqual(self.stream.journal.sequence, 0)
        self.tick(SEGMENT_SECONDS)
        self.assertEqual(self.stream.journal.sequence, 1)
        self.stream.receive(audio(at=1))
        self.tick(2 * SEGMENT_SECONDS - 0.11)
        self.assertEqual(self.stream.journal.sequence, 1)
        self.tick(2 * SEGMENT_SECONDS)
        self.assertEqual(self.stream.journal.sequence, 2)

    async def test_does_not_happen_to_a_stream_without_audio(self) -> None:
        self.open()
        self.tick(3 * SEGMENT_SECONDS)
        self.assertEqual(self.stream.journal.sequence, 0)

    async def test_happens_at_the_maximum_size(self) -> None:
        with mock.patch.object(module, "MAX_FILE_BYTES", 10_000):
            self.open().receive(audio())
            self.tick(0.1)
            self.assertEqual(self.stream.journal.sequence, 0)
            for number in range(1, 16):
                self.stream.receive(audio(at=number))
            self.tick(0.2)
        self.assertEqual(self.stream.journal.sequence, 1)

    async def test_passes_the_finished_file_to_the_sealer(self) -> None:
        stream = self.open()
        for number in range(200):  # more than the look-ahead of the timeline
            stream.receive(audio(at=number))
        self.tick(SEGMENT_SECONDS)
        await until(Segment.objects.aexists)
        self.assertEqual(len(self.files(".open")), 1)

    async def test_closes_the_finished_file(self) -> None:
        self.open().receive(audio())
        number = self.stream.journal.descriptor
        self.assertIn(".000000.", path_of(number))
        self.tick(SEGMENT_SECONDS)
        # The number may be reused by then. A file that is deleted while open keeps its name.
        await until(lambda: ".000000." not in path_of(number))

    async def test_failing_for_one_stream_does_not_affect_others(self) -> None:
        other = self.recorder.open("other", "", ACS)
        for stream in (self.open(), other):
            stream.receive(audio())
        for attempt, failure in enumerate((JournalUnwritable("full"), OSError("gone")), start=1):
            with (
                mock.patch.object(self.stream, "rotate", side_effect=failure),
                self.assertLogs(level="ERROR"),
            ):
                self.tick(attempt * (SEGMENT_SECONDS + 1))
            self.assertEqual((self.stream.journal.sequence, other.journal.sequence), (0, attempt))
            other.receive(audio(at=attempt))


class Ticking(RecorderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder = self.make(segment_seconds=0.2)
        self.addCleanup(self.recorder.stop)
        self.recorder.start()

    async def receive_until_sequence(self, expected: int) -> None:
        """Receives packets until the journal has been rotated that many times."""
        stream = self.recorder.open("connection", "", ACS)
        sent = 0

        def is_reached() -> bool:
            nonlocal sent
            stream.receive(audio(at=sent))
            sent += 1
            return stream.journal.sequence >= expected

        await until(is_reached)

    async def test_publishes_a_call_with_its_levels_and_its_end(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(audio())
        await until(lambda: any(news["levels"] for news in self.dashboards.news))
        self.assertEqual(self.dashboards.news[0]["calls"][0]["id"], stream.handshake.call_id)
        self.recorder.close(stream, 1000)
        await until(lambda: self.dashboards.news[-1].get("ended"))
        numbers = [news["number"] for news in self.dashboards.news]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))

    async def test_ends_without_calls_and_starts_with_the_next(self) -> None:
        for connection in ("one", "two"):
            stream = self.recorder.open(connection, "", ACS)
            ticker = self.recorder._ticker
            assert ticker
            self.recorder.close(stream, 1000)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ticker
        self.assertEqual(len([news for news in self.dashboards.news if news["ended"]]), 2)

    async def test_rotates_while_the_channel_layer_is_unreachable(self) -> None:
        self.dashboards.failure = RedisUnreachable("no Redis")
        with self.assertLogs("calls.live.channel", "WARNING") as logs:
            await self.receive_until_sequence(2)
        self.assertEqual(len(logs.output), 1, "logged once, not ten times a second")

    async def test_rotates_although_publishing_fails_unexpectedly(
        self,
    ) -> None:
        self.dashboards.failure = TypeError("can not serialize")
        with self.assertLogs("streams.live.publisher", "WARNING") as logs:
            await self.receive_until_sequence(2)
        self.assertEqual(len(logs.output), 1)

    async def test_rotates_while_the_channel_layer_hangs(self) -> None:
        self.dashboards.hangs = True
        with (
            mock.patch.object(publisher, "PUBLISH_TIMEOUT_SECONDS", 0.05),
            self.assertLogs("calls.live.channel", "WARNING"),
        ):
            await self.receive_until_sequence(2)
        self.assertGreaterEqual(self.dashboards.attempts, 2)

    async def test_publishes_again_when_the_channel_layer_is_back(self) -> None:
        self.dashboards.failure = OSError("no Redis")
        with self.assertLogs("calls.live.channel", "WARNING"):
            stream = self.recorder.open("connection", "", ACS)
            await until(lambda: self.dashboards.attempts)
        self.dashboards.failure = None
        stream.receive(audio())
        await until(lambda: self.dashboards.news)


class Stats(RecorderTestCase):
    async def test_are_zero_before_the_start(self) -> None:
        stats = self.recorder.stats()
        self.assertEqual((stats.packets, stats.open_streams, stats.journal_bytes), (0, 0, 0))

    async def test_count_open_and_closed_streams_alike(self) -> None:
        self.recorder.start()
        first, second = self.recorder.open("one", "", ACS), self.recorder.open("two", "", ACS)
        for stream in (first, second):
            for message in (metadata(), audio(), "no JSON", "{}"):
                stream.receive(message)
        before = self.recorder.stats()
        self.assertEqual((before.packets, before.open_streams), (2, 2))
        self.assertEqual(
            before.messages, {"audio": 2, "dtmf": 0, "metadata": 2, "unknown": 2, "malformed": 2}
        )
        self.assertGreater(before.journal_bytes, 2 * len(PACKET))
        self.recorder.close(first, 1000)
        after = self.recorder.stats()
        self.assertEqual((after.messages, after.open_streams), (before.messages, 1))
        self.assertGreater(
            after.journal_bytes, before.journal_bytes, "the counts and the close are records too"
        )

    async def test_do_not_count_canary_calls(self) -> None:
        self.recorder.start()
        for connection_id, packets in (("canary-1", 0), ("one", 1)):
            stream = self.recorder.open(connection_id, "", ACS)
            for message in (metadata(), audio()):
                stream.receive(message)
            for stage in ("open", "closed"):
                with self.subTest(connection_id, stage=stage):
                    stats = self.recorder.stats()
                    self.assertEqual(stats.packets, packets)
                    self.assertEqual(stats.open_streams, packets if stage == "open" else 0)
                self.recorder.close(stream, 1000)

    async def test_count_handshakes(self) -> None:
        for outcome in ("accepted", "refused", "refused"):
            self.recorder.note_handshake(outcome)
        self.assertEqual(self.recorder.stats().handshakes, {"accepted": 1, "refused": 2})

    async def test_include_sealed_segments(self) -> None:
        self.recorder.start()
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(audio())
        self.recorder.close(stream, 1000)
        await until(lambda: self.recorder.stats().segments_sealed == 1)
        await until(lambda: self.recorder.stats().spool_files == 0)


class Stopping(RecorderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder.start()

    async def test_ends_every_journal_and_every_thread(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(audio())
        self.recorder.stop()
        names = {thread.name for thread in threading.enumerate()}
        self.assertFalse(names & {"sealer", "journal-syncer"}, names)
        assert stream.closed
        self.assertEqual((stream.closed.code, stream.closed.reason), (None, "recorder stopped"))

    async def test_leaves_unsealed_files_to_the_next_process(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(audio())
        assert self.recorder._running
        # so that the file is not sealed before the recorder stops
        self.recorder._running.sealer.stop(PATIENCE_SECONDS)
        self.recorder.stop()
        self.assertIsInstance(records_in(self.spool)[-1], Closed)
        self.assertEqual(pcm_in(self.spool), {ALICE: PACKET})
        following = self.make()
        following.start()
        self.addCleanup(following.stop)
        await until(Segment.objects.aexists)

    async def test_keeps_the_folder_locked_while_a_file_is_still_being_sealed(self) -> None:
        self.recorder.start()
        running = self.recorder._running
        assert running, "it was started"
        with mock.patch.object(running.sealer, "stop", return_value=False):
            self.recorder.stop()
        self.addCleanup(running.folder.release)
        self.addCleanup(running.sealer.stop, PATIENCE_SECONDS)
        self.assertEqual(list(abandoned(self.spool)), [])

    async def test_twice_changes_nothing(self) -> None:
        self.recorder.open("connection", "", ACS)
        self.recorder.stop()
        self.recorder.stop()

    async def test_removes_an_empty_folder(self) -> None:
        self.recorder.stop()
        self.assertEqual(list(self.spool.iterdir()), [])

    async def test_closes_each_socket_once_if_some_close_meanwhile(self) -> None:
        streams = [self.recorder.open(f"connection {number}", "", ACS) for number in range(20)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.recorder.aclose())
            for stream in streams:
                await asyncio.sleep(0)
                self.recorder.close(stream, 1001)
        self.assertTrue(all(stream.closed for stream in streams))
        self.assertTrue(self.recorder._ticker and self.recorder._ticker.done())
