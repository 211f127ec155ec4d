"""The alarm monitor: alarms are in the journal, in the news, in the log, and in the counts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from django.test import SimpleTestCase, override_settings

from calls.live.messages import REPEAT_SECONDS, AlarmNews
from calls.times import iso_from_microseconds
from streams.ingest.stream import Stream
from streams.journal.records import Alarm
from streams.live import alarm_monitor as module
from streams.live.alarm_monitor import AlarmMonitor, thresholds_from_settings
from streams.live.alarm_rules import ProcessReading, Thresholds
from streams.live.board import Board
from tests.streams.streams import (
    ALICE,
    BOB,
    START_US,
    audio,
    close,
    fill_disk,
    metadata,
    open_stream,
    participant_id,
    records_in,
)

HEALTHY = ProcessReading(disk_is_low=False, lag_segments=0.0, files=0, sealed=0, failures={})
LOUD, SILENT = b"\x00\x20\x00\xe0" * 160, bytes(640)


class MonitorTestCase(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.monitor = AlarmMonitor(Thresholds())
        self.board = Board("process", 10.0)
        self.streams: list[Stream] = []
        self.process = HEALTHY
        self.second = 0
        self.addCleanup(self.close_all)

    def close_all(self) -> None:
        for stream in self.streams:
            close(stream)

    def stream(self, connection: str = "connection") -> Stream:
        stream = open_stream(self.folder, connection)
        stream.receive(metadata())
        self.streams.append(stream)
        self.board.add(stream)
        return stream

    def hang_up(self, stream: Stream) -> None:
        self.streams.remove(stream)
        close(stream)

    def pass_seconds(self, seconds: int, messages: Iterable[str] = ()) -> list[AlarmNews]:
        """All streams receive these messages once a second; returns the active alarms then."""
        for _ in range(seconds):
            self.second += 1
            now, now_us = 100.0 + self.second, START_US + self.second * 1_000_000
            for stream in self.streams:
                stream.receive(*messages)
            self.board.tick(now)
            self.monitor.evaluate(self.streams, self.process, now, now_us)
        return self.monitor.on

    def alarms_written(self) -> list[Alarm]:
        return [record for record in records_in(self.folder) if isinstance(record, Alarm)]

    def names(self) -> list[str]:
        return [alarm["alarm"] for alarm in self.monitor.on]


class CallAlarms(MonitorTestCase):
    def test_a_stall_is_in_news_and_journal_until_it_ends(self) -> None:
        stream = self.stream()
        self.assertEqual(self.pass_seconds(5, [audio(ALICE, LOUD)]), [])
        (alarm,) = self.pass_seconds(4)
        since_us = START_US + 5_000_000
        call_id = stream.handshake.call_id
        published = {
            "call": call_id,
            "participant": None,
            "alarm": "stalled",
            "since": iso_from_microseconds(since_us),
        }
        self.assertEqual(alarm, published)
        self.assertEqual(self.monitor.counts, {"stalled": 1})
        self.assertEqual(self.pass_seconds(3, [audio(ALICE, LOUD)]), [])
        written = [
            Alarm("stalled", None, since_us),
            Alarm("stalled", None, since_us, since_us + 4_000_000),
        ]
        self.assertEqual(self.alarms_written(), written)

    def test_odd_timestamps_are_in_news_and_journal(self) -> None:
        self.stream()
        odd = audio(ALICE, LOUD).replace("2022-10-03T19:16:12.925", "0001-01-01T00:00:00")
        (alarm,) = self.pass_seconds(3, [odd] * 50)
        self.assertEqual((alarm["alarm"], alarm["participant"]), ("odd_timestamp", None))
        self.assertEqual([one.name for one in self.alarms_written()], ["odd_timestamp"])

    def test_an_alarm_is_on_the_clock_of_the_call(self) -> None:
        self.stream().note_step(-3_600_000_000)
        self.pass_seconds(5, [audio(ALICE, LOUD)])
        (alarm,) = self.pass_seconds(4)
        since_us = START_US + 5_000_000 + 3_600_000_000
        self.assertEqual(alarm["since"], iso_from_microseconds(since_us))
        self.assertEqual(self.alarms_written(), [Alarm("stalled", None, since_us)])

    def test_one_way_audio_has_its_participant(self) -> None:
        self.stream()
        (alarm,) = self.pass_seconds(25, [audio(ALICE, LOUD), audio(BOB, SILENT)])
        self.assertEqual((alarm["alarm"], alarm["participant"]), ("one_way", participant_id(BOB)))
        self.assertEqual(self.alarms_written()[0].voice, 1)

    def test_packets_of_another_rate_than_the_announced_one_are_an_alarm(self) -> None:
        self.stream()
        for second in range(12):
            at = range(second * 50, second * 50 + 50)
            self.pass_seconds(1, [audio(ALICE, LOUD + bytes(320), at=number) for number in at])
        (alarm,) = self.monitor.on
        self.assertEqual(
            (alarm["alarm"], alarm["participant"]), ("wrong_rate", participant_id(ALICE))
        )

    def test_packets_without_samples_or_timestamps_say_nothing_about_the_rate(self) -> None:
        self.stream()
        untimed = json.loads(audio(ALICE, LOUD + bytes(320)))
        del untimed["audioData"]["timestamp"]
        for second in range(30):
            at = range(second * 50, second * 50 + 50)
            empty = [audio(BOB, b"", at=number, silent=True) for number in at]
            self.pass_seconds(1, [json.dumps(untimed)] * 50 + empty)
        self.assertNotIn("wrong_rate", self.names())

    def test_a_call_that_ends_clears_its_alarms(self) -> None:
        stream = self.stream()
        self.pass_seconds(11)
        self.assertEqual(self.names(), ["no_audio"])
        self.monitor.news(0.0)
        self.hang_up(stream)
        self.assertEqual(self.pass_seconds(1), [])
        self.assertEqual(self.monitor.news(0.0), [])

    def test_a_replaced_socket_is_not_stalled(self) -> None:
        self.stream().receive(audio(ALICE, LOUD))
        self.stream()
        self.pass_seconds(15)
        self.assertEqual(self.names(), ["no_audio"], "of the new socket")

    def test_on_two_sockets_an_alarm_is_published_once_with_the_earlier_time(self) -> None:
        first = self.stream()
        self.pass_seconds(1, [audio(ALICE, LOUD)])
        fill_disk(first)
        self.pass_seconds(1, [audio(ALICE, LOUD, at=self.second)])
        fill_disk(self.stream())
        (alarm,) = self.pass_seconds(1, [audio(ALICE, LOUD, at=self.second)])
        self.assertEqual(
            (alarm["alarm"], alarm["since"]),
            ("not_written", iso_from_microseconds(START_US + 1_000_000)),
        )
        for stream in self.streams:
            fill_disk(stream, full=False)

    def test_an_alarm_of_a_full_disk_is_in_the_journal_once_there_is_space(self) -> None:
        stream = self.stream()
        self.pass_seconds(2, [audio(ALICE, LOUD)])
        fill_disk(stream)
        self.pass_seconds(1, [audio(ALICE, LOUD)])
        self.assertEqual((self.names(), self.alarms_written()), (["not_written"], []))
        fill_disk(stream, full=False)
        self.pass_seconds(5, [audio(ALICE, LOUD)])
        self.assertEqual([alarm.until_us is None for alarm in self.alarms_written()], [True, False])


class ProcessAlarms(MonitorTestCase):
    def test_an_alarm_is_logged_once_when_raised_and_once_when_cleared(self) -> None:
        self.pass_seconds(1)
        self.process = HEALTHY._replace(disk_is_low=True)
        with self.assertLogs("streams.live.alarm_monitor", "INFO") as logs:
            (alarm,) = self.pass_seconds(10)
            self.process = HEALTHY
            self.assertEqual(self.pass_seconds(10), [])
        self.assertEqual(
            (alarm["call"], alarm["participant"], alarm["alarm"]), (None, None, "disk_low")
        )
        self.assertEqual(len(logs.output), 2)
        self.assertEqual(self.alarms_written(), [])


class News(MonitorTestCase):
    def test_alarms_are_published_when_they_change_and_repeated(self) -> None:
        self.assertEqual(
            self.monitor.news(0.0),
            [],
            "at first, for dashboards that still show old alarms",
        )
        self.assertIsNone(self.monitor.news(REPEAT_SECONDS / 2))
        self.process = HEALTHY._replace(disk_is_low=True)
        self.pass_seconds(1)
        published = self.monitor.news(REPEAT_SECONDS / 2)
        assert published, "it has changed"
        published_at = REPEAT_SECONDS / 2
        self.assertIsNone(self.monitor.news(published_at + 0.9))
        self.assertEqual(
            self.monitor.news(published_at + 1.0),
            published,
            "a dashboard that opens later shows alarms within a second",
        )
        self.process = HEALTHY
        self.pass_seconds(10)
        self.assertEqual(self.monitor.news(20.0), [])
        self.assertIsNone(
            self.monitor.news(20.0 + REPEAT_SECONDS - 0.1),
            "without alarms news are repeated seldom",
        )
        self.assertEqual(self.monitor.news(20.0 + REPEAT_SECONDS), [])

    def test_the_last_minute_of_each_voice_is_kept_in_steps(self) -> None:
        stream = self.stream()
        for second in range(70):
            if second != 68:
                stream.receive(audio(ALICE, LOUD if second == 67 else SILENT, at=second))
                self.board.tick(float(second))
            self.pass_seconds(1)
        minute = "".join(stream.speakers[ALICE].minute)
        self.assertEqual((len(minute), minute[-4:]), (60, "08.0"))

    def test_alarms_in_news_are_limited(self) -> None:
        for number in range(3):
            self.stream(f"connection-{number}")
        with mock.patch.object(module, "MAX_PUBLISHED", 2):
            self.assertEqual(len(self.pass_seconds(12)), 2)

    def test_evaluations_are_due_once_a_second(self) -> None:
        self.assertTrue(self.monitor.is_due(100.0))
        self.pass_seconds(1)
        self.assertEqual(
            [self.monitor.is_due(101.0 + after) for after in (0.1, 0.9, 1.0)], [False, False, True]
        )


class Settings(SimpleTestCase):
    def test_are_those_of_the_environment(self) -> None:
        self.assertEqual(thresholds_from_settings(), Thresholds())
        with override_settings(ALARM_DEAD_AIR_SECONDS=5.0, ALARM_SILENCE_DBFS=-60.0):
            self.assertEqual(
                thresholds_from_settings(), Thresholds(dead_air_seconds=5.0, silence_dbfs=-60.0)
            )
