"""Counts of refused handshakes."""

from __future__ import annotations

from unittest import TestCase

from calls.wording import REFUSALS
from streams.acs.auth import Reason
from streams.live.refusals import RefusalCounts

HOUR = 3600.0


class Counts(TestCase):
    def setUp(self) -> None:
        self.counts = RefusalCounts()

    def test_are_kept_apart_by_reason_and_by_sender(self) -> None:
        for _scanner in range(1000):
            self.counts.add("no_header", from_acs=False, now=0.0)
        self.counts.add("no_header", from_acs=True, now=1.0)
        self.counts.add("expired", from_acs=True, now=61.0)
        self.assertEqual(
            self.counts.last_hour(62.0),
            {"from_acs": {"no_header": 1, "expired": 1}, "others": {"no_header": 1000}},
        )
        self.assertEqual(self.counts.from_acs, 2)

    def test_of_the_last_hour_are_forgotten_afterwards_and_totals_are_not(self) -> None:
        for minute in range(600):
            self.counts.add("expired", from_acs=True, now=60.0 * minute)
        last = 60.0 * 599
        self.assertEqual(self.counts.last_hour(last)["from_acs"], {"expired": 60})
        self.assertEqual(self.counts.last_hour(last + 60.0)["from_acs"], {"expired": 59})
        self.assertEqual(self.counts.last_hour(last + HOUR)["from_acs"], {})
        self.assertEqual(self.counts.totals, {("expired", True): 600})
        self.assertLessEqual(len(self.counts._minutes), 61, "memory is bounded")

    def test_have_a_text_for_each_reason(self) -> None:
        reasons = {reason.name.lower() for reason in Reason}
        self.assertEqual(set(REFUSALS), reasons | {"bad_handshake", "not_recording"})
