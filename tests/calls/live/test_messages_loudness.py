"""The loudness of a second as one character."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.live.messages import HELD_FOR, NO_AUDIO, REPEAT_SECONDS, step_of


class LoudnessTests(TestCase):
    def test_a_digit_is_six_decibels(self) -> None:
        edges = {-54.0: "1", -48.0: "2", -42.0: "3", -36.0: "4", -30.0: "5", -24.0: "6"}
        edges |= {-18.0: "7", -12.0: "8", -6.0: "9"}
        for dbfs, digit in edges.items():
            with self.subTest(dbfs=dbfs):
                self.assertEqual(step_of(dbfs), digit)
                self.assertEqual(step_of(dbfs - 0.1), str(int(digit) - 1))

    def test_digital_silence_is_not_the_same_as_no_audio(self) -> None:
        self.assertEqual(step_of(-96.0), "0")
        self.assertEqual(step_of(-96.1), ".")
        self.assertEqual(step_of(float("-inf")), NO_AUDIO)

    def test_full_scale_is_the_highest_digit(self) -> None:
        self.assertEqual(step_of(0.0), "9")

    @given(st.floats(-200, 0), st.floats(-200, 0))
    def test_a_louder_second_has_no_lower_character(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        self.assertLessEqual(step_of(low), step_of(high))  # "." sorts before "0"
        self.assertEqual(len(step_of(low)), 1)


class RepetitionTests(TestCase):
    def test_a_call_survives_the_loss_of_one_repetition(self) -> None:
        self.assertGreater(HELD_FOR.total_seconds(), 2 * REPEAT_SECONDS)
