"""Alarms of a recorder: evaluated by its ticker, with its real sealer and disk quota."""

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

    async def test_are_evaluated_once_a_second_and_published(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        published: dict[int, set[str]] = {}  # by tick
        for tick in range(130):
            news = self.recorder.tick(100.0 + tick / 10, START_US + tick * 100_000)
            if "alarms" in news:
                published[tick] = {alarm["alarm"] for alarm in news["alarms"]}
        self.assertIn("no_audio", published[max(published)])
        for before, after in pairwise(published):
            if published[before] == published[after]:
                self.assertGreaterEqual(
                    after - before, 9, "unchanged alarms are repeated once a second"
                )
        self.assertEqual(self.recorder.stats().alarms["no_audio"], 1)
        self.recorder.close(stream, 1000)
        await until(LedgerEntry.objects.filter(kind="alarm", reason="no_audio").aexists)

    async def test_and_listeners_are_published_at_once_on_request(self) -> None:
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
        self.recorder.accept_request({"type": "live.repeated"})
        repeated = self.recorder.tick(now + 0.2, START_US + 12_200_000)
        self.assertEqual((repeated["alarms"], repeated["listeners"]), (first["alarms"], {call: 1}))
        self.recorder.close(stream, 1000)

    async def test_packet_rate_and_lag_are_published_once_a_second(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(metadata())
        published = []
        for tick in range(31):
            for packet in range(5):
                stream.receive(audio(at=tick * 5 + packet))
            news = self.recorder.tick(100.0 + tick / 10, START_US + tick * 100_000)
            published += [news["totals"]["packets_per_second"]] if "totals" in news else []
        self.assertEqual(published[0], 0.0)
        self.assertEqual(len(published), 4)
        for packets in published[1:]:
            self.assertAlmostEqual(packets, 50.0, delta=5.0)
        self.recorder.close(stream, 1000)

    async def test_a_refused_call_is_published_although_no_call_is_open(self) -> None:
        with self.assertLogs("streams.live.alarm_monitor", "WARNING"):
            self.recorder.note_refusal("wrong_stream_token", from_acs=True)
            await until(lambda: any(news.get("alarms") for news in self.dashboards.news))
        (alarm,) = next(news["alarms"] for news in self.dashboards.news if news.get("alarms"))
        self.assertEqual((alarm["call"], alarm["alarm"]), (None, "acs_refused"))
        self.assertEqual(self.recorder.stats().refusals, {("wrong_stream_token", True): 1})
        self.assertFalse(self.recorder._has_new_refusal, "the ticker would run for ever")

    async def test_strangers_raise_no_alarm_and_cause_no_news(self) -> None:
        for _scanner in range(1000):
            self.recorder.note_refusal("no_header", from_acs=False)
        self.assertIsNone(self.recorder._ticker)
        self.recorder.tick(100.0, START_US)
        self.assertEqual(self.recorder.stats().alarms["acs_refused"], 0)
        self.assertEqual(self.recorder.stats().refusals, {("no_header", False): 1000})
        assert self.recorder._running
        refused = self.recorder._running.sealer.refusals()
        self.assertEqual(refused, {"from_acs": {}, "others": {"no_header": 1000}})

    async def test_of_the_process_are_published_after_the_last_call(self) -> None:
        left = self.spool / "left"
        left.mkdir()
        (left / "stream.000000.journal").write_bytes(bytes(1000))
        stream = self.recorder.open("connection", "", ACS)
        with self.assertLogs("streams.live.alarm_monitor", "WARNING"):
            await until(lambda: self.recorder.stats().alarms["disk_low"])
        self.recorder.close(stream, 1000)
        await until(lambda: any(news.get("ended") for news in self.dashboards.news))
        ticker = self.recorder._ticker
        assert ticker, "the ticker has been started"
        self.assertFalse(self.recorder.board)
        self.assertFalse(ticker.done())
        self.recorder.stop()
        await ticker


@override_settings(STORAGES=STORAGES)
class Outage(RecorderTestCase):
    async def test_of_the_store_is_an_alarm_until_sealing_succeeds(self) -> None:
        recorder = self.make(
            alarms=Thresholds(outage_seconds=1.0), grace_seconds=600.0
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
