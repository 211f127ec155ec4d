"""Entries of the audit: gapless under concurrent writers, and protected by the database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch
from uuid import uuid4

from django.contrib.auth.models import AnonymousUser, User
from django.db import Error, connection, transaction
from django.db.models import F
from django.test import RequestFactory, TestCase, TransactionTestCase
from rest_framework.authtoken.models import Token

from calls.audit.actors import (
    Actor,
    actor_of,
    actor_of_scope,
    command_actor,
    system_actor,
)
from calls.audit.chain import GENESIS, verdict_of
from calls.audit.trail import link_of, record
from calls.models import Action, AuditEntry, Call
from tests.calls.rows import make_call

ANN = Actor("user", "ann", "3", "::1")


class Entries(TestCase):
    def test_an_entry_says_who_what_which_call_when_and_why(self) -> None:
        call = make_call("aa")
        record(
            Action.HEARD, actor=ANN, call=call, reason="complaint", detail={"from": 0.5, "to": 2.0}
        )
        entry = AuditEntry.objects.get()
        self.assertEqual((entry.number, entry.previous_hash), (1, GENESIS))
        self.assertEqual((entry.actor_kind, entry.actor_name, entry.actor_id), ("user", "ann", "3"))
        self.assertEqual((entry.address, entry.action, entry.reason), ("::1", "heard", "complaint"))
        self.assertEqual((entry.call, entry.call_connection_id), (call.pk, call.call_connection_id))
        self.assertEqual(entry.detail, {"from": 0.5, "to": 2})

    def test_an_id_alone_names_the_call_and_stays_when_it_is_deleted(self) -> None:
        call = make_call("aa")
        record(Action.VIEWED, actor=ANN, call=call.pk)
        Call.objects.all().delete()
        record(Action.VIEWED, actor=ANN, call=uuid4())
        named = AuditEntry.objects.order_by("number").values_list("call_connection_id", flat=True)
        self.assertEqual(list(named), [call.call_connection_id, ""])

    def test_stored_entries_have_the_hash_of_their_columns(self) -> None:
        odd = {"big": 1e22, "small": 1e-7, "text": "Zoë\0\ud800"}
        for detail in (odd, {}, {"a": [None, True]}):
            record(Action.CHANGED, actor=Actor("user", "x\0" * 300), detail=detail, reason="\0")
        verdict = verdict_of(map(link_of, AuditEntry.objects.order_by("number")))
        self.assertEqual((verdict.count, verdict.faults), (3, []))

    def test_an_unknown_action_is_an_error(self) -> None:
        with self.assertRaises(ValueError):
            record("looked", actor=ANN)  # type: ignore[arg-type]

    def test_the_database_refuses_to_change_delete_and_replace(self) -> None:
        record(Action.VIEWED, actor=ANN)
        everything = AuditEntry.objects.all()
        replacing = "INSERT OR REPLACE INTO calls_auditentry SELECT * FROM calls_auditentry"
        truncating = "TRUNCATE calls_auditentry"
        sql = truncating if connection.vendor == "postgresql" else replacing
        for attempt in (
            lambda: everything.update(number=F("number") + 1),
            everything.delete,
            lambda: connection.cursor().execute(sql),
        ):
            with (
                self.assertRaisesMessage(Error, "neither changed nor deleted"),
                transaction.atomic(),
            ):
                attempt()
        self.assertEqual(AuditEntry.objects.get().number, 1)


class Actors(TestCase):
    def test_a_request_names_user_and_address(self) -> None:
        request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
        request.user = User.objects.create_user("ann")
        self.assertEqual(actor_of(request), Actor("user", "ann", str(request.user.pk), "192.0.2.1"))
        request.auth = Token.objects.create(user=request.user)  # type: ignore[attr-defined]
        self.assertEqual(actor_of(request).kind, "key")

    def test_somebody_unknown_has_an_address_only(self) -> None:
        scope = {"user": AnonymousUser(), "client": ("192.0.2.1", 7), "headers": []}
        self.assertEqual(actor_of_scope(scope), Actor("user", address="192.0.2.1"))

    def test_a_command_names_the_user_of_the_operating_system(self) -> None:
        with patch("getpass.getuser", return_value="ops"):
            self.assertEqual(command_actor("x"), Actor("command", "ops: manage.py x"))
        with patch("getpass.getuser", side_effect=KeyError):
            self.assertEqual(command_actor("x"), Actor("command", "unknown: manage.py x"))
        self.assertEqual(system_actor("retention"), Actor("system", "retention"))


class Concurrency(TransactionTestCase):
    def test_writers_at_once_make_one_chain_without_gaps(self) -> None:
        def write(_: int) -> None:
            try:
                for _ in range(5):
                    record(Action.VIEWED, actor=ANN)
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(4)))
        verdict = verdict_of(map(link_of, AuditEntry.objects.order_by("number")))
        self.assertEqual((verdict.count, verdict.number, verdict.faults), (20, 20, []))

    def test_an_entry_goes_with_its_transaction(self) -> None:
        with transaction.atomic():
            record(Action.DELETED, actor=ANN)
            transaction.set_rollback(True)
        record(Action.VIEWED, actor=ANN)
        self.assertEqual(AuditEntry.objects.get().number, 1)
