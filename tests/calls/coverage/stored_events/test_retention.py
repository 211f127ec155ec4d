"""Retention of events of ACS: with their call, or for a month without one."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from unittest.mock import patch
from uuid import uuid4

from django.test import TestCase
from django.utils import timezone

from calls.coverage.stored_events import retention
from calls.coverage.stored_events.retention import remove_answered, remove_old
from calls.models import AnsweredCall, Call, CallEvent, database_now
from calls.storage.deletion import delete_call
from calls.worker.jobs import JOBS
from tests.calls.coverage.events import make_answered_call, make_event
from tests.calls.rows import make_call


def make(name: str, days: float = 31, **ids: str) -> None:
    """Makes an event that came in so many days ago."""
    received_at = timezone.now() - timedelta(days=days)
    make_event(name, received_at, received_at=received_at, **ids)


def kept() -> set[str]:
    return set(CallEvent.objects.values_list("type", flat=True))


class WithoutCall(TestCase):
    def test_are_deleted_after_thirty_days(self) -> None:
        make("old", connection_id="nobody", correlation_id="K")
        make("older", days=400)
        make("young", days=29, connection_id="nobody")
        remove_old(Event())
        self.assertEqual(kept(), {"young"})

    def test_of_recorded_calls_are_kept_and_asked_once(self) -> None:
        make_call("CC1", correlation_id="K1")
        make("own", connection_id="CC1", server="S1")
        make("by correlation", correlation_id="K1")
        make("by server", server="S1", correlation_id="another")
        make("another connection", connection_id="CC2", correlation_id="K1", server="S1")
        make("another server", server="S2")
        make_call("CC9", correlation_id="")
        make("nameless")
        remove_old(Event())
        self.assertEqual(kept(), {"own", "by correlation", "by server"})
        self.assertEqual(CallEvent.objects.filter(has_call=True).count(), 3)
        with self.assertNumQueries(1):
            remove_old(Event())

    def test_are_deleted_in_batches_until_the_process_stops(self) -> None:
        for number in range(5):
            make(f"old {number}")
        stopping = Event()
        with patch.object(retention, "ROWS_PER_BATCH", 2):
            remove_old(stopping)
            self.assertEqual(kept(), set())
            make("old")
            stopping.set()
            remove_old(stopping)
        self.assertEqual(kept(), {"old"})

    def test_are_deleted_by_a_job(self) -> None:
        self.assertIn(remove_old, [job.run for job in JOBS])


class WithCall(TestCase):
    def setUp(self) -> None:
        self.call = make_call("CC1", correlation_id="K1")
        make("own", connection_id="CC1", correlation_id="K1", server="S1")
        make("by correlation", correlation_id="K1")
        make("by server", server="S1")
        make("stranger", connection_id="CC2", correlation_id="K2", server="S2")

    def test_are_deleted_with_it(self) -> None:
        delete_call(self.call.pk, database_now())
        self.assertEqual(kept(), {"stranger"})

    def test_are_kept_while_another_call_has_its_connection_id(self) -> None:
        other = make_call("CC2")
        Call.objects.filter(pk=other.pk).update(call_connection_id="CC1", continuation=1)
        delete_call(self.call.pk, database_now())
        self.assertEqual(kept(), {"own", "by correlation", "by server", "stranger"})

    def test_by_correlation_are_kept_while_another_call_has_it(self) -> None:
        make_call("CC2", correlation_id="K1")
        delete_call(self.call.pk, database_now())
        self.assertEqual(kept(), {"by correlation", "stranger"})

    def test_of_a_call_without_ids_are_none(self) -> None:
        nameless = make_call("x", call_connection_id="", correlation_id="")
        make("nameless")
        delete_call(nameless.pk, database_now())
        self.assertIn("nameless", kept())


class AnsweredCalls(TestCase):
    def make(self, days: float, **values: str) -> AnsweredCall:
        return make_answered_call(timezone.now() - timedelta(days=days), **values)

    def kept(self) -> set[AnsweredCall]:
        return set(AnsweredCall.objects.all())

    def test_are_deleted_after_thirty_days(self) -> None:
        self.make(31)
        make_call("CC1")
        self.make(31, call_connection_id="CC1")
        young = self.make(29)
        with patch.object(retention, "ROWS_PER_BATCH", 1):
            remove_answered(Event())
        self.assertEqual(self.kept(), {young})
        self.assertIn(remove_answered, [job.run for job in JOBS])

    def test_are_deleted_with_their_call(self) -> None:
        call = make_call("CC1", correlation_id="K1")
        self.make(1, call_connection_id="CC1", correlation_id="K1")
        self.make(1, correlation_id="K1", state="failed")
        others = {
            self.make(1, call_connection_id="CC2", correlation_id="K1"),
            self.make(1, correlation_id="K2"),
            self.make(1),
        }
        delete_call(call.pk, database_now())
        self.assertEqual(self.kept(), others)

    def test_of_a_connection_that_another_call_has_are_kept(self) -> None:
        first = make_call("CC1", correlation_id="K1")
        ids = {"call_connection_id": "CC1", "correlation_id": "K1"}
        Call.objects.create(id=uuid4(), started_at=first.started_at, **ids)
        own = self.make(1, call_connection_id="CC1", correlation_id="K1")
        delete_call(first.pk, database_now())
        self.assertEqual(self.kept(), {own})
