"""Alarms: each is raised when it has been so for long enough, clears, and does not flap."""

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

LIMITS = Thresholds()
START, START_US = 100.0, 1_664_824_572_000_000
LOUD, LOW, SILENT = VoiceReading(-20.0, 0), VoiceReading(-45.0, 0), VoiceReading(-96.0, 0)
ABSENT = VoiceReading(NOTHING, 0)
WELL = ProcessReading(disk_is_low=False, lag_segments=0.5, files=1, sealed=0, failures={})


def at(seconds: float) -> int:
    return START_US + round(seconds * 1_000_000)


class StreamCase(TestCase):
    """A stream that is looked at once a second. `second` is the number of the last look; the first
    has number 0.
    """

    def setUp(self) -> None:
        self.watch = StreamRules(LIMITS)
        self.seen = StreamReading(0, 0, 0, ())
        self.second = -1
        self.said: list[Alarm] = []

    def look(
        self, *voices: VoiceReading, written: int = 50, unwritten: int = 0, malformed: int = 0
    ) -> list[Alarm]:
        """What a second with these messages and voices changes."""
        self.second += 1
        self.seen = self.seen._replace(
            written=self.seen.written + written,
            unwritten=self.seen.unwritten + unwritten,
            malformed=self.seen.malformed + malformed,
            voices=voices,
        )
        said = self.watch.evaluate(self.seen, START + self.second, at(self.second))
        self.said += said
        return said

    def after(self, seconds: int, *voices: VoiceReading, **counts: int) -> list[str]:
        """Names of what is raised in so many seconds that are all alike."""
        said = [alarm for _ in range(seconds) for alarm in self.look(*voices, **counts)]
        return [alarm.name for alarm in said if alarm.until_us is None]

    def seconds_until(
        self, name: str, *voices: VoiceReading, over: bool = False, **counts: int
    ) -> int:
        """So many seconds that are all alike until the alarm is raised, or over."""
        for number in count(1):
            assert number < 1000, f"{name} has changed by now"
            if any(
                one.name == name and (one.until_us is not None) == over
                for one in self.look(*voices, **counts)
            ):
                return number
        raise AssertionError


class OfAStream(StreamCase):
    def test_a_call_that_is_well_has_none(self) -> None:
        self.assertEqual(self.after(300, LOUD, LOUD), [])

    def test_no_audio_is_raised_once_and_clears_with_the_first_packet(self) -> None:
        self.look(written=0)
        self.assertEqual(self.seconds_until("no_audio", written=0), 10)
        self.assertEqual(self.after(100, written=0), [])
        (over,) = self.look(LOUD)
        self.assertEqual((over.since_us, over.until_us), (at(0), at(self.second - 1)))

    def test_a_socket_that_goes_silent_has_stalled_after_4_seconds(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.seconds_until("stalled", ABSENT, written=0), 4)
        self.assertEqual(self.said[-1].since_us, at(9))
        self.assertEqual(self.seconds_until("stalled", LOUD, over=True), 3)
        self.assertEqual(self.said[-1], Alarm("stalled", None, at(9), at(13)))

    def test_a_pause_of_3_seconds_is_none(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.after(3, ABSENT, written=0) + self.after(3, LOUD), [])

    def test_a_socket_that_speaks_now_and_then_has_stalled_all_the_while(self) -> None:
        self.after(10, LOUD)
        said = [self.after(5, ABSENT, written=0) + self.after(1, LOUD) for _ in range(10)]
        self.assertEqual(said, [["stalled"], *[[]] * 9])

    def test_a_socket_that_another_has_replaced_is_not_missed(self) -> None:
        self.after(10, LOUD)
        self.seen = self.seen._replace(is_newest=False)
        self.assertEqual(self.after(100, ABSENT, written=0), [])
        self.watch, self.seen = StreamRules(LIMITS), StreamReading(0, 0, 0, (), is_newest=False)
        self.assertEqual(self.after(100, written=0), [])

    def test_what_the_disk_does_not_take_is_said_at_once_and_for_5_seconds_more(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.after(1, ABSENT, written=0, unwritten=50), ["not_written"])
        self.assertEqual(
            self.after(20, ABSENT, written=0, unwritten=50),
            [],
            "and packets come, so nothing stalls",
        )
        self.assertEqual(self.seconds_until("not_written", LOUD, over=True), 5)
        self.assertEqual(self.said[-1], Alarm("not_written", None, at(9), at(30)))

    def test_what_the_disk_does_not_take_in_the_first_second_is_said_as_well(self) -> None:
        self.assertEqual(self.after(1, written=0, unwritten=50), ["not_written"])

    def test_malformed_messages_are_counted_over_a_minute(self) -> None:
        self.assertEqual(self.after(200, LOUD, malformed=1), [], "60 a minute are not more than 60")
        self.assertEqual(self.seconds_until("malformed", LOUD, malformed=2), 1)
        self.assertEqual(self.seconds_until("malformed", LOUD, over=True), MALFORMED_SECONDS)

    def test_dead_air_is_said_when_everybody_has_been_silent(self) -> None:
        self.after(10, LOUD, SILENT)
        self.assertEqual(self.seconds_until("dead_air", SILENT, SILENT), 20)
        self.assertEqual(self.said[-1], Alarm("dead_air", None, at(9)))
        (over,) = [alarm for alarm in self.look(SILENT, LOUD) if alarm.name == "dead_air"]
        self.assertEqual(over.until_us, at(29))

    def test_a_word_ends_the_silence(self) -> None:
        self.assertEqual(
            [self.after(19, SILENT, SILENT) + self.after(1, LOUD, LOUD) for _ in range(5)], [[]] * 5
        )

    def test_nobody_is_silent_where_nothing_comes(self) -> None:
        self.after(10, LOUD)
        self.assertEqual(self.after(100, ABSENT, written=0), ["stalled"])


class OfAVoice(StreamCase):
    def test_who_was_never_heard_while_another_spoke_is_the_silent_side(self) -> None:
        self.look(LOUD, SILENT)
        self.assertEqual(self.seconds_until("one_way", LOUD, SILENT), 20)
        self.assertEqual(self.said[-1], Alarm("one_way", 1, at(0)))
        self.assertEqual(self.seconds_until("one_way", LOUD, LOUD, over=True), 3)
        self.assertEqual(self.after(200, LOUD, SILENT), [], "who has been heard may listen")

    def test_only_the_time_counts_in_which_another_speaks(self) -> None:
        self.look(LOUD, SILENT)
        for _ in range(10):
            self.assertEqual(self.after(10, SILENT, SILENT) + self.after(1, LOUD, SILENT), [])
        self.assertEqual(self.seconds_until("one_way", LOUD, SILENT), 10)

    def test_who_sends_nothing_has_left_or_has_not_come(self) -> None:
        self.look(LOUD, SILENT)
        self.assertEqual(self.after(100, LOUD, ABSENT), [])

    def test_one_alone_cannot_be_one_side(self) -> None:
        self.assertNotIn("one_way", self.after(100, SILENT))

    def test_clipping_takes_many_windows_in_ten_seconds(self) -> None:
        twice = VoiceReading(-5.0, 2)
        self.assertEqual(self.after(5, VoiceReading(-5.0, 1), LOUD), [])
        self.assertEqual(self.after(int(CLIPPING_SECONDS), LOUD, LOUD), [])
        self.assertEqual(self.seconds_until("clipping", LOUD, twice), 5)
        self.assertEqual(self.said[-1].voice, 1)
        self.assertEqual(self.after(20, LOUD, twice), [])
        self.assertGreater(self.seconds_until("clipping", LOUD, LOUD, over=True), CLIPPING_SECONDS)

    def test_who_speaks_too_low_for_a_minute_is_too_low(self) -> None:
        self.look(LOUD, LOW)
        said = [self.after(1, LOUD, LOW) + self.after(1, LOUD, SILENT) for _ in range(59)]
        self.assertEqual(said, [[]] * 59)
        self.assertEqual(self.after(1, LOUD, LOW), ["too_low"])
        self.assertEqual(self.said[-1], Alarm("too_low", 1, at(0)))
        self.assertEqual(self.after(30, LOUD, SILENT), [])
        (over,) = self.look(LOUD, LOUD)
        self.assertEqual((over.name, over.until_us), ("too_low", at(self.second - 1)))

    def test_one_word_that_is_loud_enough_begins_the_minute_anew(self) -> None:
        self.assertEqual(
            [self.after(55, LOUD, LOW) + self.after(1, LOUD, LOUD) for _ in range(5)], [[]] * 5
        )

    def test_a_voice_that_comes_later_has_a_watch_of_its_own(self) -> None:
        self.after(30, LOUD)
        self.after(1, LOUD, SILENT)
        self.assertEqual(self.seconds_until("one_way", LOUD, SILENT), 19)

    def test_silence_and_low_speech_are_what_the_settings_say(self) -> None:
        self.watch = StreamRules(
            replace(LIMITS, silence_dbfs=-90.0, low_dbfs=-80.0, dead_air_seconds=2.0)
        )
        self.assertEqual(self.after(100, LOW), [])
        self.assertEqual(self.seconds_until("dead_air", SILENT), 2)


class Time(StreamCase):
    def test_a_process_that_stood_still_blames_nobody(self) -> None:
        self.after(10, LOUD)
        self.second += 30
        self.assertEqual(self.look(ABSENT, written=0), [])

    def test_a_wall_clock_that_is_set_back_ends_no_alarm_before_it_began(self) -> None:
        self.watch.evaluate(StreamReading(0, 1, 0, ()), START, at(0))
        said = [
            alarm
            for second in range(1, 10)
            for alarm in self.watch.evaluate(self.seen, START + second, at(second - 3600))
        ]
        self.assertEqual(said, [Alarm("not_written", None, at(0), at(0))])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([0, 50]),
                st.sampled_from([0, 0, 50]),
                st.sampled_from([0, 0, 100]),
                st.sampled_from([LOUD, LOW, SILENT, ABSENT, VoiceReading(-3.0, 9)]),
            ),
            max_size=200,
        )
    )
    def test_an_alarm_is_over_before_it_is_raised_again_and_lamps_say_what_is_on(
        self, seconds: list[tuple[int, int, int, VoiceReading]]
    ) -> None:
        self.setUp()
        on: dict[tuple[str, int | None], int] = {}
        for written, unwritten, malformed, voice in seconds:
            for alarm in self.look(
                LOUD, voice, written=written, unwritten=unwritten, malformed=malformed
            ):
                self.assertIn(alarm.name, STREAM_ALARMS)
                key = alarm.name, alarm.voice
                if alarm.until_us is None:
                    self.assertNotIn(key, on)
                    on[key] = alarm.since_us
                else:
                    self.assertEqual(on.pop(key), alarm.since_us)
                    self.assertLessEqual(alarm.since_us, alarm.until_us)
        lamps = {
            (lamp.name, lamp.voice): lamp.on_since_us
            for lamp in self.watch.latches
            if lamp.on_since_us
        }
        self.assertEqual(lamps, on)


class OfTheProcess(TestCase):
    def setUp(self) -> None:
        self.watch = ProcessRules(LIMITS)
        self.second = -1

    def look(self, *seen: ProcessReading) -> list[str]:
        """What is raised, and with a minus what is over, in a second for each."""
        said = []
        for one in seen:
            self.second += 1
            changes = self.watch.evaluate(one, START + self.second, at(self.second))
            said += [
                alarm.name if alarm.until_us is None else f"-{alarm.name}" for alarm in changes
            ]
        return said

    def failing(self, stage: str, failures: Iterable[int], **facts: int) -> list[ProcessReading]:
        return [
            ProcessReading(False, 0.5, facts.get("files", 3), 7, {stage: number})  # type: ignore[dict-item]
            for number in failures
        ]

    def test_one_that_is_well_has_none(self) -> None:
        self.assertEqual(self.look(*[WELL] * 100), [])
        self.assertEqual({lamp.name for lamp in self.watch.latches}, set(PROCESS_ALARMS))

    def test_a_disk_that_is_low_is_said_at_once_and_clears_after_5_seconds(self) -> None:
        low = WELL._replace(disk_is_low=True)
        self.assertEqual(self.look(WELL, low), ["disk_low"])
        self.assertEqual(self.look(*[WELL, low] * 10), [], "it does not flap")
        self.assertEqual(self.look(*[WELL] * 4), [])
        self.assertEqual(self.look(WELL), ["-disk_low"])

    def test_sealing_is_behind_by_more_than_six_segments(self) -> None:
        self.assertEqual(self.look(*[WELL._replace(lag_segments=6.0)] * 10), [])
        self.assertEqual(self.look(WELL._replace(lag_segments=6.1)), ["sealing_behind"])
        self.assertEqual(self.look(*[WELL] * 5), ["-sealing_behind"])

    def test_what_fails_for_5_seconds_and_seals_nothing_is_away(self) -> None:
        for stage in ("store", "database"):
            with self.subTest(stage):
                self.setUp()
                self.look(WELL._replace(sealed=7))
                self.assertEqual(self.look(*self.failing(stage, [1, 1, 3, 3])), [])
                self.assertEqual(self.look(*self.failing(stage, [4])), [f"{stage}_away"])
                self.assertEqual(
                    self.look(*self.failing(stage, [4] * 60)), [], "tries come ever more rarely"
                )
                (well,) = self.failing(stage, [4])
                self.assertEqual(self.look(well._replace(sealed=8)), [f"-{stage}_away"])

    def test_one_file_that_fails_while_others_are_sealed_is_no_outage(self) -> None:
        files = [
            ProcessReading(False, 0.5, 3, second, {"database": second // 3}) for second in range(60)
        ]
        self.assertEqual(self.look(*files), [])

    def test_where_nothing_waits_any_more_nothing_is_away(self) -> None:
        self.look(WELL._replace(sealed=7))
        self.assertEqual(self.look(*self.failing("store", [1] * 10)), ["store_away"])
        self.assertEqual(self.look(*self.failing("store", [1], files=0)), ["-store_away"])
