"""Users who look after alarms: the row, the ledger of the call, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import TestCase
from django.utils import timezone

from calls.models import LedgerEntry
from calls.notifications import care
from tests.calls.rows import make_alarm, make_call


class Care(TestCase):
    def setUp(self) -> None:
        self.olga = User.objects.create_user("olga")
        self.call = make_call()
        self.alarm = make_alarm(call_id=self.call.pk)

    def test_acknowledged_it_names_the_user_and_the_time(self) -> None:
        row = care.acknowledge(self.alarm, self.olga)
        row.refresh_from_db()
        self.assertEqual(row.acknowledged_by, self.olga)
        self.assertLess(
            timezone.now() - (row.acknowledged_at or row.raised_at), timedelta(minutes=1)
        )
        self.assertEqual(care.state_of(row)["acknowledged_by"], "olga")

    def test_the_last_user_who_acknowledges_looks_after_it(self) -> None:
        care.acknowledge(self.alarm, self.olga)
        row = care.acknowledge(self.alarm, User.objects.create_user("ivan"))
        self.assertEqual(care.state_of(row)["acknowledged_by"], "ivan")
        self.assertEqual([note["user"] for note in row.history], ["olga", "ivan"])

    def test_snoozed_it_keeps_the_user_who_acknowledged_it(self) -> None:
        until = timezone.now() + timedelta(hours=1)
        care.acknowledge(self.alarm, self.olga)
        row = care.snooze(self.alarm, self.olga, until)
        state = care.state_of(row)
        self.assertEqual(state["snoozed_until"], until.isoformat())
        self.assertEqual(state["acknowledged_by"], "olga")
        self.assertEqual(row.history[-1]["until"], until.isoformat())

    def test_released_nobody_looks_after_it(self) -> None:
        care.acknowledge(self.alarm, self.olga)
        care.snooze(self.alarm, self.olga, timezone.now() + timedelta(hours=1))
        state = care.state_of(care.release(self.alarm, self.olga))
        self.assertEqual({state[name] for name in state if name != "id"}, {None})

    def test_every_action_is_an_event_of_the_call(self) -> None:
        care.acknowledge(self.alarm, self.olga)
        until = timezone.now() + timedelta(hours=1)
        care.snooze(self.alarm, self.olga, until)
        care.release(self.alarm, self.olga)
        entries = LedgerEntry.objects.filter(call=self.call, kind="alarm_handled")
        self.assertEqual(
            [entry.reason for entry in entries], ["acknowledged", "snoozed", "released"]
        )
        detail = {"alarm": "stalled", "alarm_id": str(self.alarm.pk), "user": "olga"}
        self.assertEqual(entries[0].detail, detail)
        self.assertEqual(entries[1].detail, {**detail, "until": until.isoformat()})

    def test_an_alarm_of_a_process_or_of_a_call_without_a_row_is_noted_in_its_own_row(self) -> None:
        for call_id in (None, uuid4()):
            with self.subTest(call_id):
                row = care.acknowledge(make_alarm(call_id=call_id), self.olga)
                self.assertEqual(row.history[0]["action"], "acknowledged")
        self.assertFalse(LedgerEntry.objects.exists())

    def test_a_cleared_alarm_cannot_be_handled(self) -> None:
        cleared = make_alarm(cleared_at=timezone.now())
        with self.assertRaises(care.AlreadyCleared):
            care.acknowledge(cleared, self.olga)

    def test_the_history_is_bounded(self) -> None:
        old = [{"at": "", "user": "olga", "action": "acknowledged"}] * care.MAX_HISTORY
        row = care.release(make_alarm(history=old), self.olga)
        self.assertEqual(len(row.history), care.MAX_HISTORY)
        self.assertEqual(row.history[-1]["action"], "released")


class Active(TestCase):
    def test_lists_active_alarms_with_who_looks_after_them_in_one_query(self) -> None:
        olga = User.objects.create_user("olga")
        call = make_call()
        of_process = make_alarm(call_id=call.pk, origin=str(uuid4()))
        of_job = make_alarm("acs_refused", origin="canary")
        make_alarm("dead_air", cleared_at=timezone.now())
        care.acknowledge(of_process, olga)
        with self.assertNumQueries(1):
            found = {row["id"]: row for row in care.active()}
        self.assertEqual(found.keys(), {str(of_process.id), str(of_job.id)})
        mine, other = found[str(of_process.id)], found[str(of_job.id)]
        self.assertEqual((mine["alarm"], mine["call"]), ("stalled", str(call.pk)))
        self.assertEqual(mine["acknowledged_by"], "olga")
        self.assertEqual((mine["is_of_job"], other["is_of_job"]), (False, True))
        self.assertIsNone(other["call"])
