"""`manage.py verify_audit`: faults that somebody makes in the database by hand."""

from __future__ import annotations

from io import StringIO
from unittest.mock import patch

from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TransactionTestCase

from calls.audit.actors import Actor
from calls.audit.trail import record
from calls.management.commands import verify_audit
from calls.models import Action, AuditEntry
from calls.models.audit import protection


class ByHand(TransactionTestCase):
    """Triggers are dropped and created in transactions of their own."""

    def setUp(self) -> None:
        for number in range(6):
            record(Action.VIEWED, actor=Actor("user", "ann"), detail={"page": number})

    def sql(self, *statements: str) -> None:
        """Executes statements as the owner of the database can."""
        vendor = connection.vendor
        with connection.cursor() as cursor:
            for one in (*protection.REMOVE[vendor], *statements, *protection.ADD[vendor]):
                cursor.execute(one)

    def verified(self) -> tuple[str, str]:
        """Returns the output and the error, "" for none."""
        output = StringIO()
        try:
            call_command("verify_audit", stdout=output, stderr=StringIO())
        except CommandError as error:
            return output.getvalue(), str(error)
        return output.getvalue(), ""

    @patch.object(verify_audit, "ENTRIES_PER_QUERY", 4)
    def test_a_sound_audit(self) -> None:
        last = AuditEntry.objects.get(number=6)
        expected = f"6 entries, no fault. Entry 6 is the last; its hash is {last.hash}.\n"
        self.assertEqual(self.verified(), (expected, ""))

    def test_an_altered_entry(self) -> None:
        self.sql("UPDATE calls_auditentry SET actor_name = 'bob' WHERE number = 3")
        self.assertEqual(self.verified(), ("Entry 3 was altered.\n", "6 entries, 1 faults."))

    def test_a_removed_entry(self) -> None:
        self.sql("DELETE FROM calls_auditentry WHERE number = 3")
        self.assertEqual(self.verified(), ("Entry 3 was removed.\n", "5 entries, 1 faults."))

    def test_an_inserted_entry(self) -> None:
        columns = "at, actor_kind, actor_name, actor_id, address, action, call, call_connection_id"
        rest = "reason, detail, previous_hash, hash"
        self.sql(
            "UPDATE calls_auditentry SET number = -number WHERE number > 3",
            "UPDATE calls_auditentry SET number = 1 - number WHERE number < 0",
            f"INSERT INTO calls_auditentry (number, {columns}, {rest})"  # noqa: S608 - no values
            f" SELECT 4, {columns}, {rest} FROM calls_auditentry WHERE number = 2",
        )
        self.assertEqual(self.verified(), ("Entry 4 was inserted.\n", "7 entries, 1 faults."))

    def test_swapped_entries(self) -> None:
        self.sql(
            "UPDATE calls_auditentry SET number = -2 WHERE number = 2",
            "UPDATE calls_auditentry SET number = 2 WHERE number = 5",
            "UPDATE calls_auditentry SET number = 5 WHERE number = -2",
        )
        self.assertEqual(
            self.verified(), ("Entries 2 and 5 were swapped.\n", "6 entries, 1 faults.")
        )

    @patch.object(verify_audit, "MOST_PRINTED", 2)
    def test_a_long_list_is_cut(self) -> None:
        self.sql("UPDATE calls_auditentry SET reason = 'x'")
        expected = "Entry 1 was altered.\nEntry 2 was altered.\n4 more faults.\n"
        self.assertEqual(self.verified(), (expected, "6 entries, 6 faults."))
