"""Events of ACS that end a call at once, and its state, which is derived from them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest import skipUnless

from django.db import connection
from django.test import TestCase
from django.utils import timezone

from calls.models import Call, Subscription, database_now
from calls.storage.deletion import live_among
from tests.calls.coverage.events import make_event
from tests.calls.rows import make_call, make_subscription


class ReportedEnds(TestCase):
    def setUp(self) -> None:
        self.now = timezone.now()
        self.call = make_call(
            started_at=self.ago(60), call_connection_id="CC1", correlation_id="K1"
        )

    def ago(self, seconds: float) -> datetime:
        return self.now - timedelta(seconds=seconds)

    def socket(self, since: float, until: float | None = None, code: int | None = None) -> Any:
        """Makes a socket, from and until so many seconds ago; without `until` it is open."""
        return make_subscription(
            self.call,
            connected_at=self.ago(since),
            seen_at=self.ago(1 if until is None else until),
            disconnected_at=None if until is None else self.ago(until),
            close_code=code,
            position=Subscription.objects.count(),
        )

    def state(self) -> tuple[str, datetime | None]:
        call = Call.objects.with_state(database_now()).get(pk=self.call.pk)
        is_live = Call.objects.live(database_now()).filter(pk=self.call.pk).exists()
        self.assertEqual(is_live, call.state == "live")
        found = Call.objects.with_state(database_now()).in_state(call.state, database_now())
        self.assertIn(self.call, found)
        return call.state, call.ended_at

    def test_end_a_call_within_the_grace_time(self) -> None:
        self.socket(60, 2, 1000)
        self.assertEqual(self.state(), ("live", None))
        make_event(at=self.ago(1), connection_id="CC1")
        self.assertEqual(self.state(), ("ended", self.ago(2)))

    def test_end_a_call_although_its_socket_is_open(self) -> None:
        self.socket(60)
        make_event(at=self.ago(3), connection_id="CC1")
        self.assertEqual(self.state(), ("ended", self.ago(3)))
        self.assertIn(self.call, live_among([self.call.pk], database_now()), "it still records")

    def test_of_a_socket_that_is_closed_later_are_the_end(self) -> None:
        self.socket(60, 20, None)
        make_event(at=self.ago(40), connection_id="CC1")
        self.assertEqual(self.state(), ("ended", self.ago(40)))

    def test_explain_a_socket_that_broke_just_before(self) -> None:
        self.socket(60, 24, 1006)
        make_event(at=self.ago(20), connection_id="CC1")
        self.assertEqual(self.state(), ("ended", self.ago(24)))

    def test_do_not_explain_a_socket_that_broke_long_before(self) -> None:
        self.socket(60, 26, 1006)
        make_event(at=self.ago(20), connection_id="CC1")
        self.assertEqual(self.state(), ("interrupted", self.ago(26)))

    def test_do_not_explain_a_recorder_that_died_long_before(self) -> None:
        self.call.started_at = self.ago(900)
        socket = self.socket(900)
        Subscription.objects.filter(pk=socket.pk).update(seen_at=self.ago(600))
        make_event(at=self.ago(500), connection_id="CC1")
        self.assertEqual(self.state(), ("interrupted", self.ago(600)))

    def test_are_undone_by_a_socket_that_connects_later(self) -> None:
        self.socket(60, 30, 1000)
        make_event(at=self.ago(20), connection_id="CC1")
        self.socket(10)
        self.assertEqual(self.state(), ("live", None))
        make_event(at=self.ago(5), connection_id="CC1")
        self.assertEqual(self.state(), ("ended", self.ago(5)))

    def test_cannot_come_from_the_future(self) -> None:
        make_event(at=self.now + timedelta(days=365), received_at=self.ago(20), connection_id="CC1")
        self.socket(10)
        self.assertEqual(self.state(), ("live", None))

    def test_of_event_grid_name_the_correlation_id(self) -> None:
        self.socket(60)
        make_event("CallEnded", at=self.ago(2), correlation_id="K1")
        self.assertEqual(self.state(), ("ended", self.ago(2)))

    def test_of_other_calls_or_kinds_change_nothing(self) -> None:
        self.socket(60)
        for name, ids in (
            ("CallDisconnected", {"connection_id": "CC2", "correlation_id": "K1"}),
            ("CallEnded", {"connection_id": "CC1", "correlation_id": "K2"}),
            ("CallConnected", {"connection_id": "CC1", "correlation_id": "K1"}),
            ("CallDisconnected", {}),
            ("CallEnded", {}),
        ):
            make_event(name, self.ago(2), **ids)  # type: ignore[arg-type]
        self.assertEqual(self.state(), ("live", None))

    def test_without_ids_end_no_call_without_ids(self) -> None:
        Call.objects.filter(pk=self.call.pk).update(call_connection_id="", correlation_id="")
        self.socket(60)
        make_event(at=self.ago(2))
        make_event("CallEnded", at=self.ago(2))
        self.assertEqual(self.state(), ("live", None))

    def test_are_the_same_in_any_order_and_twice(self) -> None:
        for _again in range(2):
            make_event(at=self.ago(3), connection_id="CC1")
            make_event("CallEnded", at=self.ago(2), correlation_id="K1")
        self.socket(60)
        self.assertEqual(self.state(), ("ended", self.ago(3)))

    @skipUnless(connection.vendor == "postgresql", "the plan of SQLite names no costs")
    def test_are_found_by_index(self) -> None:
        for number in range(2_000):
            for kind in ("ParticipantsUpdated", "CallDisconnected"):  # as often as in a real table
                make_event(kind, connection_id=f"CC{number}", correlation_id="K2")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE calls_callevent")
        plan = Call.objects.with_state(database_now()).all()[:50].explain()
        self.assertNotIn("Seq Scan on calls_callevent", plan)
        self.assertIn("event_of_connection", plan)

    def test_are_asked_for_once_for_each_part_of_the_answer(self) -> None:
        """Django writes a subquery out again for each column that uses it, and a list of 50 calls
        took 30 ms longer in Django than in the database.
        """
        sql = str(Call.objects.with_state(database_now()).query)
        self.assertEqual(sql.count('FROM "calls_callevent"'), 4, "live, twice the end, state")
