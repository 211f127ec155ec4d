"""Acceptance of coverage: a small day, in which every kind of call is planted once."""

from __future__ import annotations

from unittest import TestCase

from django.test import tag

from tests import machine
from tests.end_to_end.day import day
from tests.end_to_end.day.acs import Outcome
from tests.end_to_end.day.comparison import compare, metric_differences, sentence_differences
from tests.end_to_end.day.plan import INTERRUPTED, NEVER, Kind, PlannedCall, planned


@tag("once")
class SmallDay(TestCase):
    def test_coverage_says_what_was_planted(self) -> None:
        machine.nginx()
        plan = planned(len(Kind), 6.0, seed=7)
        with day.installation() as site:
            outcomes = day.play(site, plan, lambda _text: None)
            day.wait_until_judged(site, outcomes)
            self.assertEqual([], compare(site, outcomes))


def outcome(kind: Kind, *missing: tuple[float, float, str]) -> Outcome:
    call = PlannedCall(1, kind, "day-1", 0.0, 10.0, (4.0, 7.0), repeats=False, shuffles=False)
    return Outcome(call, 0.0, 10.0, list(missing))


class Differences(TestCase):
    outcomes = (
        outcome(Kind.ORDINARY),
        outcome(Kind.RECONNECTED, (4.0, 7.0, INTERRUPTED)),
        outcome(Kind.NEVER_STREAMED, (0.0, 10.0, NEVER)),
        outcome(Kind.UNREPORTED),
    )
    metrics = """\
acsmedia_missing_seconds_total{reason="streamConnectionInterrupted"} 3.02
acsmedia_missing_seconds_total{reason="initialWebSocketConnectionFailed"} 10.0
acsmedia_missing_seconds_total{reason="not_received"} 0.0
acsmedia_captured_ratio 0.566
"""
    page = """<p class="cover-sentence"><a>4 calls</a>, <a>1 complete</a>, <a>1 with 3 s missing</a>
  <span>(ACS lost its connection)</span>, <a>1 not recorded</a>
  <span>(ACS could not open the media socket, 8581)</span>, <a>1 recorded but not expected</a></p>
"""

    def test_metrics_as_planned_have_none(self) -> None:
        self.assertEqual([], list(metric_differences(self.outcomes, self.metrics)))

    def test_other_metrics_are_named(self) -> None:
        for right, wrong in (("3.02", "6.02"), ("0.0\n", "1.0\n"), ("0.566", "0.7"), ("acs", "")):
            with self.subTest(wrong):
                text = self.metrics.replace(right, wrong)
                self.assertTrue(list(metric_differences(self.outcomes, text)))

    def test_a_sentence_as_planned_has_none(self) -> None:
        self.assertEqual([], list(sentence_differences(self.outcomes, self.page)))

    def test_another_sentence_is_named(self) -> None:
        for right, wrong in (
            ("4 calls", "5 calls"),
            ("3 s missing", "6 s missing"),
            ("ACS lost its connection", "our disk failed"),
            ("8581)", "8581; 1 other reason)"),
            ("recorded but not expected", "not judged yet"),
            ("cover-sentence", "other"),
        ):
            with self.subTest(wrong):
                page = self.page.replace(right, wrong)
                self.assertTrue(list(sentence_differences(self.outcomes, page)))
