"""Legal holds: every door to deletion keeps a held call, and says which hold keeps it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Event
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.db import transaction
from django.test import Client, TestCase, TransactionTestCase
from django.utils import timezone

from calls.audit.actors import Actor
from calls.canary import jobs
from calls.models import Call, CanaryRun, HeldCall, LegalHold
from calls.models.audit.entry import AuditEntry
from calls.storage import deletion, holds
from calls.storage.threads import call_and_disconnect
from tests.calls.admin.pages import AdminPageTestCase, list_path, page_path
from tests.calls.canary.rows import make_canary
from tests.calls.coverage.events import make_event
from tests.calls.rows import make_call, make_participant, url_of
from tests.people import person

ADA, BOB = Actor("user", "ada"), Actor("user", "bob")
PHONE = "4:+15552000002"


def hold(*calls: Call, number: str = "", name: str = "Case 7") -> LegalHold:
    ids = [call.pk for call in calls]
    return holds.set_hold(name=name, reason="Court order", by=ADA, number=number, calls=ids)


class GuardTests(TestCase):
    def setUp(self) -> None:
        self.call, self.other = make_call("c-1"), make_call("c-2")
        make_participant(self.call, PHONE)
        self.now = timezone.now() + timedelta(days=1)

    def delete(self, call: Call) -> None:
        deletion.delete_call(call.pk, self.now)

    def assert_held(self, call: Call) -> None:
        with self.assertRaisesMessage(holds.Held, "“Case 7”"):
            self.delete(call)
        self.assertTrue(Call.objects.filter(pk=call.pk).exists())

    def test_a_held_call_is_kept_and_others_are_not(self) -> None:
        hold(self.call)
        self.assert_held(self.call)
        self.delete(self.other)
        self.assertEqual(Call.objects.get(), self.call)

    def test_a_lifted_hold_lets_it_go_and_stays_as_a_row(self) -> None:
        one = hold(self.call)
        self.assertTrue(holds.lift_hold(one.pk, reason="Settled", by=BOB))
        self.assertFalse(holds.lift_hold(one.pk, reason="Again", by=ADA), "lifted already")
        self.delete(self.call)
        one.refresh_from_db()
        self.assertEqual((one.lifted_by, one.lift_reason), ("bob", "Settled"))
        entries = AuditEntry.objects.order_by("number").values_list("action", "reason")
        self.assertEqual(list(entries), [("held", "Court order"), ("hold_lifted", "Settled")])
        self.assertEqual(HeldCall.objects.get().call_id, self.call.pk)

    def test_two_holds_have_to_be_lifted_both(self) -> None:
        one = hold(self.call, name="Other")
        hold(self.call)
        holds.lift_hold(one.pk, reason="Settled", by=BOB)
        self.assert_held(self.call)

    def test_a_number_is_held_in_every_spelling(self) -> None:
        for number in (
            *(PHONE, "4:15552000002", "+15552000002", "tel:+15552000002"),
            *("+1 555 200-0002", "001 (555) 200 0002", "011 1 555 200 0002"),
        ):
            with self.subTest(number), transaction.atomic():
                hold(number=number)
                self.assert_held(self.call)
                self.assertEqual(holds.holds_on(self.other), [])
                transaction.set_rollback(True)

    def test_a_raw_id_without_plus_is_the_same_number(self) -> None:
        hold(number=PHONE)
        later = make_call("c-3")
        make_participant(later, "4:15552000002")
        self.assert_held(later)

    def test_a_number_that_may_be_another_one_is_refused(self) -> None:
        """The hold would be in force and cover nothing."""
        for number in ("1 555 200 0002", "0555 2000002", "Ada", "tel:555", "4:", "acs:x", "+1"):
            with self.subTest(number), self.assertRaises(holds.UnusableNumber):
                hold(number=number)
        self.assertFalse(LegalHold.objects.exists())

    def test_a_number_is_held_for_future_calls_and_with_a_suffix(self) -> None:
        hold(number=PHONE)
        later = make_call("c-3")
        make_participant(later, f"{PHONE}_2b1f")
        self.assert_held(later)

    def test_a_number_that_only_an_event_names_is_held(self) -> None:
        """A mixed recording has one track for everyone."""
        user: Any = {"user": {"identifier": {"rawId": PHONE, "kind": "phoneNumber"}}}
        make_event(connection_id=self.other.call_connection_id, **user)
        hold(number=PHONE)
        self.assert_held(self.other)

    def test_a_call_that_is_gone_cannot_be_held(self) -> None:
        self.delete(self.other)
        with self.assertRaises(holds.UnknownCalls):
            hold(self.call, self.other)
        self.assertFalse(LegalHold.objects.exists())

    def test_the_command_keeps_it_and_says_why(self) -> None:
        hold(self.call)
        out, errors = StringIO(), StringIO()
        call_command("delete_calls", ended_before="2100-01-01", dry_run=True, stdout=out)
        self.assertIn("1 of them under legal hold would be kept", out.getvalue())
        call_command("delete_calls", ended_before="2100-01-01", stdout=out, stderr=errors)
        self.assertEqual(Call.objects.get(), self.call)
        self.assertIn("legal hold (“Case 7”)", errors.getvalue())
        self.assertIn("1 calls were kept", out.getvalue())

    def test_the_job_of_canaries_keeps_it(self) -> None:
        canary = make_canary()
        CanaryRun.objects.update(started_at=timezone.now() - timedelta(days=2))
        one = hold(canary)
        jobs.delete_old(Event())
        self.assertTrue(Call.objects.filter(pk=canary.pk).exists())
        holds.lift_hold(one.pk, reason="Settled", by=BOB)
        jobs.delete_old(Event())
        self.assertFalse(Call.objects.filter(pk=canary.pk).exists())


class RaceTests(TransactionTestCase):
    """The database decides; on SQLite there is one writer at a time."""

    def setUp(self) -> None:
        self.call = make_call("c-1")
        self.now = timezone.now() + timedelta(days=1)

    def test_a_hold_waits_for_a_deletion_that_is_running(self) -> None:
        deleting, answers = Event(), []

        def set_hold() -> None:
            deleting.wait(9)
            try:
                hold(self.call)
            except holds.UnknownCalls as error:
                answers.append(error)

        def delete_slowly(call: Call) -> None:
            deleting.set()
            self.assertFalse(wait_briefly(LegalHold.objects.exists))
            real(call)

        real = deletion._forget
        with mock.patch.object(deletion, "_forget", delete_slowly):
            thread = in_thread(set_hold)
            deletion.delete_call(self.call.pk, self.now)
        thread.result(20)
        self.assertEqual(len(answers), 1, "the hold is refused: its call is gone")
        self.assertFalse(LegalHold.objects.exists())

    def test_a_deletion_waits_for_a_hold_that_is_being_set(self) -> None:
        answers: list[Any] = []

        def delete() -> None:
            try:
                deletion.delete_call(self.call.pk, self.now)
            except holds.Held as held:
                answers.append(held)

        with transaction.atomic():
            hold(self.call)
            thread = in_thread(delete)
            self.assertFalse(wait_briefly(thread.done))
        thread.result(20)
        self.assertEqual(len(answers), 1)
        self.assertTrue(Call.objects.exists())


def in_thread(work: Any) -> Any:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call_and_disconnect, work)
    pool.shutdown(wait=False)
    return future


def wait_briefly(condition: Any) -> bool:
    """Whether it holds within a quarter of a second."""
    stop = timezone.now() + timedelta(seconds=0.25)
    while timezone.now() < stop:
        if condition():
            return True
        Event().wait(0.02)
    return False


class RestTests(TestCase):
    def setUp(self) -> None:
        self.call = make_call("c-1")
        self.setter = person("ada", "view_call", "set_legalhold")
        self.lifter = person("bob", "view_call", "lift_legalhold")
        self.client.force_login(self.setter)
        self.body = {"name": "Case 7", "reason": "Court order", "calls": [str(self.call.pk)]}

    def post(self, body: Any) -> Any:
        return self.client.post("/api/v1/holds/", body, content_type="application/json")

    def lift(self, pk: Any, body: Any) -> Any:
        address = f"/api/v1/holds/{pk}/"
        return self.client.delete(address, body, content_type="application/json")

    def test_setting_and_lifting_have_permissions_of_their_own(self) -> None:
        answer = self.post(self.body)
        self.assertEqual(answer.status_code, 201, answer.content)
        pk = answer.json()["id"]
        self.assertEqual(answer.json()["set_by"], "ada")
        self.assertEqual(self.lift(pk, {"reason": "Settled"}).status_code, 403)
        shown = self.client.get(url_of(self.call)).json()["retention"]["held_by"]
        self.assertEqual([one["name"] for one in shown], ["Case 7"])
        self.assertContains(self.client.get(f"/calls/{self.call.pk}/"), "Under legal hold")
        self.client.force_login(self.lifter)
        self.assertEqual(self.post(self.body).status_code, 403)
        self.assertEqual(self.lift(pk, {}).status_code, 400, "without a reason")
        answer = self.lift(pk, {"reason": "Settled"})
        self.assertEqual((answer.status_code, answer.json()["lifted_by"]), (200, "bob"))
        self.assertEqual(self.lift(pk, {"reason": "Settled"}).status_code, 404)
        shown = self.client.get(url_of(self.call)).json()["retention"]["held_by"]
        self.assertEqual(shown, [])

    def test_what_cannot_be_meant_is_refused_with_the_field(self) -> None:
        gone = "00000000-0000-0000-0000-000000000000"
        for field, change in (
            ("name", {"name": ""}),
            ("reason", {"reason": " "}),
            ("calls", {"calls": []}),
            ("calls", {"calls": [gone]}),
            ("colour", {"colour": "red"}),
        ):
            with self.subTest(change):
                answer = self.post({**self.body, **change})
                self.assertEqual(answer.status_code, 400)
                self.assertIn(field, answer.json())
        self.assertEqual(self.post([]).status_code, 400)
        self.assertFalse(LegalHold.objects.exists())


class AdminTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.other = make_call("c-1"), make_call("c-2")

    def act(self, model: str, action: str, *ids: Any, **values: str) -> Any:
        form = {"action": action, "_selected_action": [str(pk) for pk in ids], **values}
        return self.client.post(list_path(model), form, follow=True)

    def test_selected_calls_are_held_and_the_hold_is_lifted(self) -> None:
        asked = self.act("call", "hold_selected", self.call.pk)
        self.assertContains(asked, "Set the hold")
        self.assertNotContains(asked, "Delete multiple objects")  # Django's words for its own page
        self.assertFalse(LegalHold.objects.exists())
        values = {"post": "yes", "name": "Case 7", "reason": "Court order"}
        self.assertContains(self.act("call", "hold_selected", self.call.pk, **values), "set on 1")
        page = self.client.get(page_path("call", self.call.pk))
        self.assertContains(page, "Case 7")
        self.assert_not_deletable()
        pk = LegalHold.objects.get().pk
        self.assertContains(self.act("legalhold", "lift_selected", pk), "Lift the holds")
        self.act("legalhold", "lift_selected", pk, post="yes", reason="Settled")
        self.assertEqual(holds.holds_on(self.call), [])

    def assert_not_deletable(self) -> None:
        address = page_path("call", self.call.pk, "delete")
        self.assertContains(self.client.get(address), "legal hold (“Case 7”)")
        self.client.post(address, {"post": "yes"})
        self.assertTrue(Call.objects.filter(pk=self.call.pk).exists())
        ids = (self.call.pk, self.other.pk)
        self.assertContains(self.act("call", "delete_selected", *ids), "legal hold (“Case 7”)")
        answer = self.act("call", "delete_selected", *ids, post="yes")
        self.assertContains(answer, "legal hold (“Case 7”)")
        self.assertEqual(Call.objects.get(), self.call)

    def test_a_number_is_held_with_the_form(self) -> None:
        address = "/admin/calls/legalhold/add/"
        self.assertContains(self.client.get(address), "also future ones")
        values = {"name": "Case 7", "reason": "Court order", "number": ""}
        self.assertContains(self.client.post(address, values), "required")
        refused = self.client.post(address, {**values, "number": "0555 2000002"})
        self.assertContains(refused, "in international form")
        self.client.post(address, {**values, "number": "+15552000002"})
        self.assertEqual(LegalHold.objects.get().number, PHONE)

    def test_too_many_holds_are_not_lifted_in_part(self) -> None:
        for _ in range(3):
            hold(self.call)
        ids = [one.pk for one in LegalHold.objects.all()]
        with mock.patch("calls.admin.retention.hold.MAX_AT_ONCE", 2):
            answer = self.act("legalhold", "lift_selected", *ids, post="yes", reason="r")
        self.assertContains(answer, "Select at most 2 holds")
        self.assertEqual(LegalHold.objects.in_force().count(), 3)

    def test_setting_needs_its_permission(self) -> None:
        viewer = person("vic", "view_call", "view_legalhold", is_staff=True)
        client = Client()
        client.force_login(viewer)
        self.assertEqual(client.get("/admin/calls/legalhold/").status_code, 200)
        self.assertEqual(client.get("/admin/calls/legalhold/add/").status_code, 403)
        form = {"action": "hold_selected", "_selected_action": [self.call.pk], "post": "yes"}
        client.post(list_path("call"), {**form, "name": "n", "reason": "r"})
        self.assertFalse(LegalHold.objects.exists())
