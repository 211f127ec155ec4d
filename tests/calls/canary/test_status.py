"""The alarm and the figures of canary calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import TestCase

from calls.canary import runs, status
from calls.canary.runs import Result
from calls.canary.status import ALLOWED, active_alarm, figures
from calls.models import CanaryRun, RaisedAlarm

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
EVERY = 300.0


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def a_run(minute: float, reason: str = "", **values: Any) -> CanaryRun:
    """Creates a run that began at this minute after noon and took one minute."""
    started_at = NOON + minutes(minute)
    defaults = {
        "call_connection_id": f"canary-{minute}",
        "started_at": started_at,
        "finished_at": started_at + minutes(1),
        "every_seconds": EVERY,
        "outcome": "failed" if reason else "passed",
        "reason": reason,
    }
    return CanaryRun.objects.create(**{**defaults, **values})


class AlarmTests(TestCase):
    def alarm(self, minute: float) -> tuple[float, str] | None:
        """Returns since which minute the alarm is active, and its reason."""
        alarm = active_alarm(NOON + minutes(minute))
        if alarm is None:
            return None
        return (alarm.since - NOON) / minutes(1), alarm.detail["reason"]

    def test_there_is_none_without_canaries(self) -> None:
        self.assertIsNone(self.alarm(0))

    def test_a_failed_run_raises_it_and_a_good_one_clears_it(self) -> None:
        a_run(0)
        self.assertIsNone(self.alarm(2))
        a_run(5, "not_in_rest")
        self.assertEqual(self.alarm(7), (6, "not_in_rest"))
        a_run(10, "refused")
        self.assertEqual(self.alarm(12), (6, "refused"), "the same alarm, with the latest reason")
        a_run(15, outcome="running", finished_at=None)
        self.assertEqual(self.alarm(15.1), (6, "refused"))
        a_run(15.5)
        self.assertIsNone(self.alarm(17))

    def test_runs_that_stay_away_raise_it(self) -> None:
        a_run(0)
        self.assertIsNone(self.alarm(15))
        self.assertEqual(self.alarm(15.1), (15, "stopped"))
        self.assertEqual(self.alarm(3000), (15, "stopped"))
        self.assertEqual(ALLOWED, minutes(5))

    def test_runs_that_fail_and_then_stay_away_are_one_alarm(self) -> None:
        a_run(0, "refused")
        self.assertEqual(self.alarm(2), (1, "refused"))
        self.assertEqual(self.alarm(16), (1, "stopped"))

    def test_a_single_run_is_not_expected_again(self) -> None:
        a_run(0, every_seconds=None)
        self.assertIsNone(self.alarm(600))
        a_run(601, "refused", every_seconds=None)
        self.assertEqual(self.alarm(603), (602, "refused"))
        self.assertIsNone(self.alarm(601 + 24 * 60 + 1))


class RunTests(TestCase):
    def active(self) -> list[str]:
        return [*RaisedAlarm.objects.filter(cleared_at=None).values_list("name", flat=True)]

    def test_results_are_stored_and_raise_or_clear_the_alarm(self) -> None:
        first = runs.begin(EVERY)
        self.assertEqual(first.call_connection_id, f"canary-{first.pk}")
        self.assertEqual(first.outcome, "running")
        runs.finish(first, Result("samples_differ", "x" * 300, 100, 7, 1.5))
        first.refresh_from_db()
        self.assertEqual((first.outcome, first.reason), ("failed", "samples_differ"))
        self.assertEqual((first.sample_count, first.difference_samples), (100, 7))
        self.assertEqual((first.delay_seconds, len(first.detail)), (1.5, 200))
        self.assertEqual(self.active(), ["canary_failed"])
        runs.finish(runs.begin(EVERY), Result(""))
        self.assertEqual(self.active(), [])

    def test_runs_that_are_expected_no_more_raise_no_alarm(self) -> None:
        a_run(0, started_at=NOON - timedelta(days=900))
        status.report_alarm(NOON)
        self.assertEqual(self.active(), ["canary_failed"])
        runs.expect_no_more()
        self.assertEqual(self.active(), [])


class FigureTests(TestCase):
    def test_there_are_none_without_canaries(self) -> None:
        self.assertEqual(figures(NOON), status.Figures(None, None, None, alarm_is_active=False))

    def test_they_are_those_of_the_last_runs_that_have_them(self) -> None:
        a_run(0, delay_seconds=2.0, difference_samples=0)
        a_run(5, "samples_differ", delay_seconds=3.0, difference_samples=9)
        a_run(10, "refused")
        a_run(15, outcome="running", finished_at=None)
        found = figures(NOON + minutes(16))
        self.assertEqual(found.passed_at, NOON + minutes(1))
        self.assertEqual((found.delay_seconds, found.difference_samples), (3.0, 9))
        self.assertTrue(found.alarm_is_active)
