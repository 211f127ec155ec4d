"""The alarm that calls were not recorded: raised, kept, cleared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import TestCase
from django.utils import timezone

from calls.coverage.job import alarm
from calls.coverage.job.alarm import ACTIVE, NAME
from calls.models import RaisedAlarm
from tests.calls.pages.coverage.examples import make_coverage


class CallsMissing(TestCase):
    def setUp(self) -> None:
        self.now = timezone.now()

    def missing(self, minutes: float = 5, **values: Any) -> None:
        judged_at = self.now - timedelta(minutes=minutes)
        given: dict[str, Any] = {"judged_at": judged_at, "verdict": "missing"} | values
        verdict = given.pop("verdict")
        at = given.pop("at", judged_at - timedelta(minutes=10))
        make_coverage(at, verdict, **given)

    def active(self) -> list[RaisedAlarm]:
        return list(RaisedAlarm.objects.filter(name=NAME, cleared_at=None))

    def test_a_call_that_was_not_recorded_raises_it(self) -> None:
        self.missing()
        self.missing(minutes=3)
        alarm.report(self.now)
        (raised,) = self.active()
        self.assertEqual(raised.raised_at, self.now - timedelta(minutes=5))
        self.assertEqual(raised.detail, {"calls": 2})

    def test_further_calls_keep_it_and_an_hour_without_any_clears_it(self) -> None:
        self.missing(minutes=50)
        alarm.report(self.now)
        self.missing(minutes=-20)
        alarm.report(self.now + timedelta(minutes=30))
        (raised,) = self.active()
        self.assertEqual(raised.raised_at, self.now - timedelta(minutes=50))
        self.assertEqual(raised.detail, {"calls": 1})
        alarm.report(self.now + timedelta(minutes=20) + ACTIVE)
        self.assertEqual(self.active(), [])

    def test_other_verdicts_raise_none(self) -> None:
        self.missing(verdict="partial")
        self.missing(verdict="complete")
        self.missing(minutes=61)
        self.missing(at=self.now - timedelta(days=2))
        self.missing(notify=False)
        alarm.report(self.now)
        self.assertEqual(self.active(), [])
