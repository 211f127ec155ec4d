"""Acceptance of coverage: a small day, in which every kind of call is planted once."""

from __future__ import annotations

from unittest import TestCase

from django.test import tag

from tests import machine
from tests.end_to_end.day import day
from tests.end_to_end.day.plan import Kind, planned


@tag("once")
class SmallDay(TestCase):
    def test_coverage_says_what_was_planted(self) -> None:
        machine.nginx()
        plan = planned(len(Kind), 6.0, seed=7)
        with day.installation() as site:
            outcomes = day.play(site, plan, lambda _text: None)
            day.wait_until_judged(site, outcomes)
            self.assertEqual([], day.compare(site, outcomes))
