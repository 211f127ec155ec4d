"""Alarms of a recorder: looked for in its rhythm, with the sealer and the disk that it really
has.
"""

from __future__ import annotations

import time
from itertools import pairwise

from django.test import override_settings

from calls.listen.messages import ListenRequest
from calls.models import LedgerEntry
from calls.storage import audio_store
from streams.acs.messages import ACS
from streams.ingest.disk_quota import DiskQuota
from streams.live.alarm_rules import Thresholds
from tests.streams.spools import STORAGES, FakeStore
from tests.streams.streams import START_US, audio, metadata
from tests.streams.test_recorder import RecorderTestCase
from tests.waiting import until


class Alarms(RecorderTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.recorder = self.make(disk_quota=DiskQuota(limit_bytes=1))
        self.addCleanup(self.recorder.stop)
        self.recorder.start()

    async def test_are_looked_for_once_a_second_and_told(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        told: dict[int, set[str]] = {}  # by tick
        for tick in range(130):
            news = self.recorder.tick(100.0 + tick / 10, START_US + tick * 100_000)
            if "alarms" in news:
                told[tick] = {alarm["alarm"] for alarm in news["alarms"]}
        self.assertIn("no_audio", told[max(told)])
        for before, after in pairwise(told):
            if told[before] == told[after]:
                self.assertGreaterEqual(
                    after - before, 9, "what has not changed is repeated once a second"
                )
        self.assertEqual(self.recorder.stats().alarms["no_audio"], 1)
        self.recorder.close(stream, 1000)
        await until(LedgerEntry.objects.filter(kind="alarm", reason="no_audio").aexists)

    async def test_and_listeners_are_told_at_once_when_a_dashboard_asks(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        call = stream.handshake.call_id
        for tick in range(120):
            self.recorder.tick(100.0 + tick / 10, START_US + tick * 100_000)
        self.recorder.accept_request(
            {"type": "listen.wish", "wish": ListenRequest(call=call, listener="one", listens=True)}
        )
        now = time.monotonic()  # leases count by it
        first = self.recorder.tick(now, START_US + 12_000_000)
        self.assertEqual(
            (first["alarms"], first["listeners"]), (self.recorder._alarm_monitor.on, {call: 1})
        )
        quiet = self.recorder.tick(now + 0.1, START_US + 12_100_000)
        self.assertNotIn("alarms", quiet)
        self.assertNotIn("listeners", quiet)
        self.recorder.accept_request({"type": "live.asked"})
        asked = self.recorder.tick(now + 0.2, START_US + 12_200_000)
        self.assertEqual((asked["alarms"], asked["listeners"]), (first["alarms"], {call: 1}))
        self.recorder.close(stream, 1000)

    async def test_packets_a_second_and_lag_are_told_about_once_a_second(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        told = []
        for tick in range(31):
            for packet in range(5):
                stream.receive(audio(at=tick * 5 + packet))
            news = self.recorder.tick(100.0 + tick / 10, START_US + tick * 100_000)
            told += [news["totals"]["packets_per_second"]] if "totals" in news else []
        self.assertEqual(told[0], 0.0)
        self.assertEqual(len(told), 4)
        for packets in told[1:]:
            self.assertAlmostEqual(packets, 50.0, delta=5.0)
        self.recorder.close(stream, 1000)

    async def test_of_the_process_are_told_on_after_the_last_call(self) -> None:
        left = self.spool / "left"
        left.mkdir()
        (left / "stream.000000.journal").write_bytes(bytes(1000))
        stream = self.recorder.open("connection", "", ACS)
        with self.assertLogs("streams.live.alarm_monitor", "WARNING"):
            await until(lambda: self.recorder.stats().alarms["disk_low"])
        self.recorder.close(stream, 1000)
        await until(lambda: any(news.get("ended") for news in self.dashboards.news))
        ticker = self.recorder._ticker
        assert ticker, "it ticks"
        self.assertFalse(self.recorder.board)
        self.assertFalse(ticker.done())
        self.recorder.stop()
        await ticker


@override_settings(STORAGES=STORAGES)
class AnOutage(RecorderTestCase):
    async def test_of_the_store_is_said_until_something_is_sealed_again(self) -> None:
        recorder = self.make(
            alarms=Thresholds(away_seconds=1.0), grace_seconds=600.0
        )  # the board keeps the call
        self.addCleanup(recorder.stop)
        recorder.start()
        store = audio_store()
        assert isinstance(store, FakeStore), "the settings say so"
        store.away = True
        stream = recorder.open("connection", "", ACS)
        stream.receive(metadata(), audio())
        with self.assertLogs(level="WARNING"):
            recorder.close(stream, 1000)
            await until(lambda: recorder.stats().alarms["store_away"])
        self.assertFalse(recorder.stats().alarms["database_away"])
        store.away = False
        await until(lambda: not recorder.stats().alarms["store_away"])
        self.assertEqual(recorder.stats().segments_sealed, 1)
