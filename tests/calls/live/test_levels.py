"""Levels sent to one browser: speech always, silence once a second."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.live.levels import MAX_KEPT, QUIET_REPEAT_SECONDS, SCALE_DBFS, SentLevels

LOUD = [-30.0, -20.0]
QUIET = [-96.0, -96.0]


class LevelTests(TestCase):
    def setUp(self) -> None:
        self.sent = SentLevels()

    def test_levels_on_the_scale_are_all_sent(self) -> None:
        for tick in range(5):
            self.assertEqual(self.sent.worth_sending({"a": LOUD}, tick / 10), {"a": LOUD})

    def test_the_peak_decides_and_the_left_end_of_the_scale_belongs_to_it(self) -> None:
        edge, below = [-96.0, SCALE_DBFS], [SCALE_DBFS, SCALE_DBFS - 0.1]
        for tick in range(3):
            sent = self.sent.worth_sending({"edge": edge, "below": below}, tick / 10)
            self.assertEqual(set(sent), {"edge", "below"} if tick == 0 else {"edge"})

    def test_levels_below_the_scale_are_sent_once_a_second(self) -> None:
        ticks = [
            set(self.sent.worth_sending({"a": QUIET, "b": LOUD}, tick * QUIET_REPEAT_SECONDS / 4))
            for tick in range(5)
        ]
        self.assertEqual(ticks, [{"a", "b"}, {"b"}, {"b"}, {"b"}, {"a", "b"}])

    def test_the_first_silence_after_speech_is_sent_at_once(self) -> None:
        counts = [
            len(self.sent.worth_sending({"a": level}, tick / 10))
            for tick, level in enumerate((QUIET, LOUD, QUIET, QUIET))
        ]
        self.assertEqual(counts, [1, 1, 1, 0])

    @given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=40))
    def test_a_level_is_left_out_only_if_silence_was_sent_less_than_a_second_ago(
        self, ticks: list[tuple[int, bool]]
    ) -> None:
        sent, now, last_silence = SentLevels(), 0, -1_000
        for eighths, speaks in ticks:  # of a second: exact as floats
            now += eighths
            is_sent = bool(sent.worth_sending({"a": LOUD if speaks else QUIET}, now / 8))
            self.assertEqual(is_sent, speaks or now - last_silence >= 8, now)
            if speaks:
                last_silence = -1_000
            elif is_sent:
                last_silence = now

    def test_participants_of_ended_calls_are_forgotten(self) -> None:
        for number in range(5 * MAX_KEPT):
            self.sent.worth_sending({str(number): QUIET}, float(number))
            self.assertLessEqual(len(self.sent._quiet), MAX_KEPT + 2)

    def test_forgetting_repeats_no_silence_that_was_just_sent(self) -> None:
        for number in range(MAX_KEPT):
            self.sent.worth_sending({str(number): QUIET}, 0.0)
        self.sent.worth_sending({"recent": QUIET, "other": QUIET}, 10.0)
        self.assertEqual(self.sent.worth_sending({"recent": QUIET}, 10.5), {})
        self.assertEqual(len(self.sent._quiet), 2)
