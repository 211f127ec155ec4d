"""Events as rows: absurd times, and repetitions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from django.test import TestCase

from calls.models import CallEvent
from streams.acs.webhooks.parsing import parse
from streams.acs.webhooks.storage import plausible, store

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def event(time: str, event_id: str = "e1") -> bytes:
    data = {"callConnectionId": "c1"}
    values = {"id": event_id, "source": "s", "type": "CallConnected", "time": time, "data": data}
    return json.dumps([values]).encode()


class Times(TestCase):
    def test_that_cannot_be_are_those_of_the_arrival(self) -> None:
        for time in ("0001-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z", "9999-12-30T00:00:00Z"):
            with self.subTest(time):
                store(CallEvent.Source.CALLBACK, parse(event(time, time)).events, NOW)
                self.assertEqual(CallEvent.objects.get(event_id=time).occurred_at, NOW)

    def test_of_late_events_and_of_a_clock_that_is_ahead_are_kept(self) -> None:
        for days in (-400, -1, 0, 0.9):
            at = NOW + timedelta(days=days)
            self.assertEqual(plausible(at, NOW), at)
        self.assertEqual(plausible(NOW + timedelta(days=1.1), NOW), NOW)


class Repetitions(TestCase):
    def test_change_nothing(self) -> None:
        first = parse(event("2026-03-02T09:29:00Z")).events
        store(CallEvent.Source.CALLBACK, first, NOW)
        again = parse(event("0001-01-01T00:00:00Z")).events
        store(CallEvent.Source.CALLBACK, again, NOW + timedelta(hours=1))
        row = CallEvent.objects.get()
        self.assertEqual((row.occurred_at, row.received_at), (NOW - timedelta(minutes=1), NOW))
