"""Alarm rules: each alarm is raised and cleared after a delay, and does not flap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.audio.levels import NOTHING
from streams.journal.records import Alarm
from streams.live.alarm_rules import (
    CLIPPING_SECONDS,
    MALFORMED_SECONDS,
    PROCESS_ALARMS,
    STREAM_ALARMS,
    ProcessReading,
    ProcessRules,
    StreamReading,
    StreamRules,
    Thresholds,
    VoiceReading,
)
from streams.live.rate_check import Progress
from streams.stats import SealStage

LIMITS = Thresholds()
START, START_US = 100.0, 1_664_824_572_000_000
LOUD, LOW, SILENT = VoiceReading(-20.0, 0), VoiceReading(-45.0, 0), VoiceReading(-96.0, 0)
ABSENT = VoiceReading(NOTHING, 0)
HEALTHY = ProcessReading(disk_is_low=False, lag_segments=0.5, files=1, sealed=0, failures={})


def at(seconds: float) -> int:
    return START_US + round(seconds * 1_000_000)


class StreamCase(TestCase):
    """A stream that is evaluated once a second. `second` is the number of the last evaluation; the
    first has number 0.
    """

    def setUp(self) -> None:
        self.rules = StreamRules(LIMITS)
        self.reading = StreamReading(0, 0, 0, ())
        self.second = -1
        self.alarms: list[Alarm] = []

    def evaluate(
        self,
        *voices: VoiceReading,
        written: int = 50,
        unwritten: int = 0,
        malformed: int = 0,
        odd: int = 0,
    ) -> list[Alarm]:
        """Returns the alarms that a second with these messages and voices raises or clears."""
        self.second += 1
        self.reading = self.reading._replace(
            written=self.reading.written + written,
            unwritten=self.reading.unwritten + unwritten,
            malformed=self.reading.malformed + malformed,
            odd_timestamp=self.reading.odd_timestamp + odd,
            voices=voices,
        )
        alarms = self.rules.evaluate(self.reading, START + self.second, at(self.second))
        self.alarms += alarms
        return alarms

    def after(self, seconds: int, *voices: VoiceReading, **counts: int) -> list[str]:
        """Returns the names of alarms raised in a number of equal seconds."""
        alarms = [alarm for _ in range(seconds) for alarm in self.evaluate(*voices, **counts)]
        return [alarm.name for alarm in alarms if alarm.until_us is None]

    def seconds_until(
        self, name: str, *voices: VoiceReading, over: bool = False, **counts: int
    ) -> int:
        """Returns the number of equal seconds until the alarm is raised, or cleared (`over`)."""
        for number in count(1):
            assert number < 1000, f"{name} has changed by now"
            if any(
                one.name == name and (one.until_us is not None) == over
                for one in self.evaluate(*voices, **counts)
            ):
                return number
        raise AssertionError


class StreamAlarms(StreamCase):
    def test_a_healthy_call_has_no_alarms(self) -> None:
        self.assertEqual(self.after(300, LOUD, LOUD), [])

    def test_no_audio_is_raised_once_and_clears_with_the_first_packet(self) -> None:
        self.evaluate(written=0)
        self.assertEqual(self.seconds_until("no_audio", written=0), 10)
        self.assertEqual(self.after(100, written=0), [])
        (over,) = self.evaluate(LOUD)
        self.assertEqual((over.since_us, over.until_us), (at(0), at(self.second - 1)))

    def test_a_socket_that_goes_silent_has_stalled_after_4_seconds(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.seconds_until("stalled", ABSENT, written=0), 4)
        self.assertEqual(self.alarms[-1].since_us, at(9))
        self.assertEqual(self.seconds_until("stalled", LOUD, over=True), 3)
        self.assertEqual(self.alarms[-1], Alarm("stalled", None, at(9), at(13)))

    def test_a_pause_of_3_seconds_raises_nothing(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.after(3, ABSENT, written=0) + self.after(3, LOUD), [])

    def test_a_socket_with_single_packets_stays_stalled(self) -> None:
        self.after(10, LOUD)
        alarms = [self.after(5, ABSENT, written=0) + self.after(1, LOUD) for _ in range(10)]
        self.assertEqual(alarms, [["stalled"], *[[]] * 9])

    def test_a_replaced_socket_raises_nothing(self) -> None:
        self.after(10, LOUD)
        self.reading = self.reading._replace(is_newest=False)
        self.assertEqual(self.after(100, ABSENT, written=0), [])
        self.rules, self.reading = StreamRules(LIMITS), StreamReading(0, 0, 0, (), is_newest=False)
        self.assertEqual(self.after(100, written=0), [])

    def test_not_written_is_raised_at_once_and_clears_after_5_seconds(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.after(1, ABSENT, written=0, unwritten=50), ["not_written"])
        self.assertEqual(
            self.after(20, ABSENT, written=0, unwritten=50),
            [],
            "packets arrive, so nothing is stalled",
        )
        self.assertEqual(self.seconds_until("not_written", LOUD, over=True), 5)
        self.assertEqual(self.alarms[-1], Alarm("not_written", None, at(9), at(30)))

    def test_not_written_is_raised_in_the_first_second_too(self) -> None:
        self.assertEqual(self.after(1, written=0, unwritten=50), ["not_written"])

    def test_malformed_messages_are_counted_over_a_minute(self) -> None:
        self.assertEqual(
            self.after(200, LOUD, malformed=1), [], "60 a minute are not more than the limit"
        )
        self.assertEqual(self.seconds_until("malformed", LOUD, malformed=2), 1)
        self.assertEqual(self.seconds_until("malformed", LOUD, over=True), MALFORMED_SECONDS)

    def test_odd_timestamps_are_counted_over_a_minute(self) -> None:
        self.assertEqual(
            self.after(200, LOUD, odd=1), [], "60 a minute are not more than the limit"
        )
        self.assertEqual(self.seconds_until("odd_timestamp", LOUD, odd=2), 1)
        self.assertEqual(self.seconds_until("odd_timestamp", LOUD, over=True), 60)

    def test_a_client_whose_timestamps_are_all_odd_raises_one_alarm(self) -> None:
        self.assertEqual(self.after(2, LOUD, odd=50), ["odd_timestamp"])
        self.assertEqual(self.after(600, LOUD, odd=50), [])

    def test_dead_air_is_raised_when_everyone_has_been_silent(self) -> None:
        self.after(10, LOUD, SILENT)
        self.assertEqual(self.seconds_until("dead_air", SILENT, SILENT), 20)
        self.assertEqual(self.alarms[-1], Alarm("dead_air", None, at(9)))
        (over,) = [alarm for alarm in self.evaluate(SILENT, LOUD) if alarm.name == "dead_air"]
        self.assertEqual(over.until_us, at(29))

    def test_a_word_ends_the_silence(self) -> None:
        self.assertEqual(
            [self.after(19, SILENT, SILENT) + self.after(1, LOUD, LOUD) for _ in range(5)], [[]] * 5
        )

    def test_without_packets_there_is_no_dead_air(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.after(100, ABSENT, written=0), ["stalled"])


class VoiceAlarms(StreamCase):
    def test_a_voice_that_was_never_heard_while_another_spoke_is_one_way(self) -> None:
        self.evaluate(LOUD, SILENT)
        self.assertEqual(self.seconds_until("one_way", LOUD, SILENT), 20)
        self.assertEqual(self.alarms[-1], Alarm("one_way", 1, at(0)))
        self.assertEqual(self.seconds_until("one_way", LOUD, LOUD, over=True), 3)
        self.assertEqual(
            self.after(200, LOUD, SILENT), [], "a voice that has spoken may be listening"
        )

    def test_only_the_time_in_which_another_speaks_counts(self) -> None:
        self.evaluate(LOUD, SILENT)
        for _ in range(10):
            self.assertEqual(self.after(10, SILENT, SILENT) + self.after(1, LOUD, SILENT), [])
        self.assertEqual(self.seconds_until("one_way", LOUD, SILENT), 10)

    def test_a_voice_without_packets_raises_nothing(self) -> None:
        self.evaluate(LOUD, SILENT)
        self.assertEqual(self.after(100, LOUD, ABSENT), [])

    def test_a_single_voice_is_not_one_way(self) -> None:
        self.assertNotIn("one_way", self.after(100, SILENT))

    def test_clipping_takes_many_windows_in_ten_seconds(self) -> None:
        twice = VoiceReading(-5.0, 2)
        self.assertEqual(self.after(5, VoiceReading(-5.0, 1), LOUD), [])
        self.assertEqual(self.after(int(CLIPPING_SECONDS), LOUD, LOUD), [])
        self.assertEqual(self.seconds_until("clipping", LOUD, twice), 5)
        self.assertEqual(self.alarms[-1].voice, 1)
        self.assertEqual(self.after(20, LOUD, twice), [])
        self.assertGreater(self.seconds_until("clipping", LOUD, LOUD, over=True), CLIPPING_SECONDS)

    def test_low_speech_for_a_minute_is_too_low(self) -> None:
        self.evaluate(LOUD, LOW)
        alarms = [self.after(1, LOUD, LOW) + self.after(1, LOUD, SILENT) for _ in range(59)]
        self.assertEqual(alarms, [[]] * 59)
        self.assertEqual(self.after(1, LOUD, LOW), ["too_low"])
        self.assertEqual(self.alarms[-1], Alarm("too_low", 1, at(0)))
        self.assertEqual(self.after(30, LOUD, SILENT), [])
        (over,) = self.evaluate(LOUD, LOUD)
        self.assertEqual((over.name, over.until_us), ("too_low", at(self.second - 1)))

    def test_a_wrong_rate_is_raised_for_its_voice_until_the_rates_agree(self) -> None:
        wrong = [
            LOUD._replace(progress=Progress(16_000, 24_000 * second, at(second), 24_000))
            for second in range(31)
        ]
        alarms = [alarm for voice in wrong for alarm in self.evaluate(LOUD, voice)]
        self.assertEqual(alarms, [Alarm("wrong_rate", 1, at(0))])
        corrected = LOUD._replace(progress=Progress(24_000, 24_000, at(31), 24_000))
        self.assertEqual(self.evaluate(LOUD, corrected), [Alarm("wrong_rate", 1, at(0), at(30))])

    def test_one_loud_word_restarts_the_minute(self) -> None:
        self.assertEqual(
            [self.after(55, LOUD, LOW) + self.after(1, LOUD, LOUD) for _ in range(5)], [[]] * 5
        )

    def test_a_later_voice_has_rules_of_its_own(self) -> None:
        self.after(30, LOUD)
        self.after(1, LOUD, SILENT)
        self.assertEqual(self.seconds_until("one_way", LOUD, SILENT), 19)

    def test_silence_and_low_speech_follow_the_settings(self) -> None:
        self.rules = StreamRules(
            replace(LIMITS, silence_dbfs=-90.0, low_dbfs=-80.0, dead_air_seconds=2.0)
        )
        self.assertEqual(self.after(100, LOW), [])
        self.assertEqual(self.seconds_until("dead_air", SILENT), 2)


class Time(StreamCase):
    def test_a_stalled_process_raises_no_stream_alarm(self) -> None:
        self.after(10, LOUD)
        self.second += 30
        self.assertEqual(self.evaluate(ABSENT, written=0), [])

    def test_a_wall_clock_set_back_clears_no_alarm_before_it_was_raised(self) -> None:
        self.rules.evaluate(StreamReading(0, 1, 0, ()), START, at(0))
        alarms = [
            alarm
            for second in range(1, 10)
            for alarm in self.rules.evaluate(self.reading, START + second, at(second - 3600))
        ]
        self.assertEqual(alarms, [Alarm("not_written", None, at(0), at(0))])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([0, 50]),
                st.sampled_from([0, 0, 50]),
                st.sampled_from([0, 0, 100]),
                st.sampled_from([0, 0, 100]),
                st.sampled_from([LOUD, LOW, SILENT, ABSENT, VoiceReading(-3.0, 9)]),
            ),
            max_size=200,
        )
    )
    def test_an_alarm_is_cleared_before_it_is_raised_again_and_latches_match(
        self, seconds: list[tuple[int, int, int, int, VoiceReading]]
    ) -> None:
        self.setUp()
        on: dict[tuple[str, int | None], int] = {}
        for written, unwritten, malformed, odd, voice in seconds:
            for alarm in self.evaluate(
                LOUD, voice, written=written, unwritten=unwritten, malformed=malformed, odd=odd
            ):
                self.assertIn(alarm.name, STREAM_ALARMS)
                key = alarm.name, alarm.voice
                if alarm.until_us is None:
                    self.assertNotIn(key, on)
                    on[key] = alarm.since_us
                else:
                    self.assertEqual(on.pop(key), alarm.since_us)
                    self.assertLessEqual(alarm.since_us, alarm.until_us)
        latches = {
            (latch.name, latch.voice): latch.raised_since_us
            for latch in self.rules.latches
            if latch.raised_since_us
        }
        self.assertEqual(latches, on)


class ProcessAlarms(TestCase):
    def setUp(self) -> None:
        self.rules = ProcessRules(LIMITS)
        self.second = -1

    def evaluate(self, *readings: ProcessReading) -> list[str]:
        """Evaluates one second per reading; returns raised alarms, and cleared ones with a
        minus.
        """
        alarms = []
        for one in readings:
            self.second += 1
            changes = self.rules.evaluate(one, START + self.second, at(self.second))
            alarms += [
                alarm.name if alarm.until_us is None else f"-{alarm.name}" for alarm in changes
            ]
        return alarms

    def failing(
        self, stage: SealStage, failures: Iterable[int], **facts: int
    ) -> list[ProcessReading]:
        files = facts.get("files", 3)
        return [ProcessReading(False, 0.5, files, 7, {stage: number}) for number in failures]

    def test_a_healthy_process_has_no_alarms(self) -> None:
        self.assertEqual(self.evaluate(*[HEALTHY] * 100), [])
        self.assertEqual({latch.name for latch in self.rules.latches}, set(PROCESS_ALARMS))

    def test_a_failed_fsync_is_raised_at_once_and_clears_after_5_seconds(self) -> None:
        failed = HEALTHY._replace(fsync_failures=1)
        self.assertEqual(self.evaluate(HEALTHY, failed), ["not_synced"])
        for _second in range(4):
            self.assertEqual(self.evaluate(failed), [])
        self.assertEqual(self.evaluate(failed._replace(fsync_failures=2)), [])
        for _second in range(4):
            self.assertEqual(self.evaluate(failed._replace(fsync_failures=2)), [])
        self.assertEqual(self.evaluate(failed._replace(fsync_failures=2)), ["-not_synced"])

    def test_a_refused_call_is_raised_at_once_and_clears_a_minute_after_the_last(self) -> None:
        refused = HEALTHY._replace(refused_from_acs=1)
        self.assertEqual(self.evaluate(HEALTHY, refused), ["acs_refused"])
        self.assertEqual(self.evaluate(*[refused] * 59), [])
        again = refused._replace(refused_from_acs=2)
        self.assertEqual(self.evaluate(*[again] * 60), [])
        self.assertEqual(self.evaluate(again), ["-acs_refused"])

    def test_disk_low_is_raised_at_once_and_clears_after_5_seconds(self) -> None:
        low = HEALTHY._replace(disk_is_low=True)
        self.assertEqual(self.evaluate(HEALTHY, low), ["disk_low"])
        self.assertEqual(self.evaluate(*[HEALTHY, low] * 10), [], "it does not flap")
        self.assertEqual(self.evaluate(*[HEALTHY] * 4), [])
        self.assertEqual(self.evaluate(HEALTHY), ["-disk_low"])

    def test_sealing_is_behind_by_more_than_six_segments(self) -> None:
        self.assertEqual(self.evaluate(*[HEALTHY._replace(lag_segments=6.0)] * 10), [])
        self.assertEqual(self.evaluate(HEALTHY._replace(lag_segments=6.1)), ["sealing_behind"])
        self.assertEqual(self.evaluate(*[HEALTHY] * 5), ["-sealing_behind"])

    def test_a_stage_that_fails_for_5_seconds_without_sealing_is_unreachable(self) -> None:
        for stage in ("store", "database"):
            with self.subTest(stage):
                self.setUp()
                self.evaluate(HEALTHY._replace(sealed=7))
                self.assertEqual(self.evaluate(*self.failing(stage, [1, 1, 3, 3])), [])
                self.assertEqual(self.evaluate(*self.failing(stage, [4])), [f"{stage}_away"])
                self.assertEqual(
                    self.evaluate(*self.failing(stage, [4] * 60)), [], "attempts become ever rarer"
                )
                (healthy,) = self.failing(stage, [4])
                self.assertEqual(self.evaluate(healthy._replace(sealed=8)), [f"-{stage}_away"])

    def test_one_file_that_fails_while_others_are_sealed_is_no_outage(self) -> None:
        files = [
            ProcessReading(False, 0.5, 3, second, {"database": second // 3}) for second in range(60)
        ]
        self.assertEqual(self.evaluate(*files), [])

    def test_without_waiting_journals_nothing_is_unreachable(self) -> None:
        self.evaluate(HEALTHY._replace(sealed=7))
        self.assertEqual(self.evaluate(*self.failing("store", [1] * 10)), ["store_away"])
        self.assertEqual(self.evaluate(*self.failing("store", [1], files=0)), ["-store_away"])
