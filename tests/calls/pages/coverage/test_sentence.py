"""The sentence about coverage, and its figures."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.coverage.report import Counts
from calls.pages.coverage.sentence import Fault, percent_text, sentence


def texts(counts: Counts, *faults: Fault) -> list[str]:
    return [
        f"{part.text} ({part.because})" if part.because else part.text
        for part in sentence(counts, faults)
    ]


class Sentence(TestCase):
    def test_of_a_good_day_with_two_faults(self) -> None:
        counts = Counts(complete=410, partial=1, missing=1)
        faults = [
            Fault("partial", "streamConnectionInterrupted", 1, 5.0),
            Fault("missing", "initialWebSocketConnectionFailed", 1, 61.0),
        ]
        parts = sentence(counts, faults)
        self.assertEqual(
            texts(counts, *faults),
            [
                "412 calls",
                "410 complete",
                "1 with 5 s missing (ACS lost its connection)",
                "1 not recorded (ACS could not open the media socket, 8581)",
            ],
        )
        self.assertEqual(
            [part.query for part in parts],
            ["", "show=complete", "show=partial", "show=missing"],
        )
        self.assertEqual([part.is_fault for part in parts], [False, False, True, True])

    def test_without_calls(self) -> None:
        self.assertEqual(texts(Counts()), ["no calls"])

    def test_calls_that_nobody_expected_or_that_wait(self) -> None:
        self.assertEqual(
            texts(Counts(unexpected=2, unknown=1234)),
            ["1,236 calls", "2 recorded but not expected", "1,234 not judged yet"],
        )
        self.assertEqual(texts(Counts(unknown=1))[0], "1 call")

    def test_the_largest_reasons_are_named(self) -> None:
        faults = [
            Fault("partial", "not_received", 1, 1.0),
            Fault("partial", "not_written", 9, 30.0),
            Fault("partial", "streamConnectionInterrupted", 1, 60.0),
            Fault("missing", "never_streamed", 1, 600.0),
        ]
        self.assertEqual(
            texts(Counts(partial=9), *faults)[1],
            "9 with 1 min 31 s missing (ACS lost its connection; disk error; 1 other reason)",
        )
        more = [*faults, Fault("partial", "not_connected", 1, 0.5)]
        self.assertIn("2 other reasons", texts(Counts(partial=9), *more)[1])

    def test_calls_without_a_reason(self) -> None:
        self.assertEqual(texts(Counts(missing=2)), ["2 calls", "2 not recorded"])


class Figures(TestCase):
    def test_percent_is_rounded_down(self) -> None:
        for ratio, text in (
            (None, "-"),
            (1.0, "100 %"),
            (0.9999999, "99.99 %"),
            (1 - 1e-15, "99.99 %"),
            (0.999, "99.90 %"),
            (0.5, "50.00 %"),
            (0.0, "0.00 %"),
        ):
            with self.subTest(ratio):
                self.assertEqual(percent_text(ratio), text)

    @given(st.integers(1, 10**9), st.integers(1, 10**9))
    def test_only_everything_is_a_hundred_percent(self, missing: int, recorded: int) -> None:
        self.assertNotIn("100", percent_text(recorded / (recorded + missing)))
