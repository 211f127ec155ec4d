"""Retention by command: deletes calls that ended before a date, and no others."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, call_command
from django.test import TestCase
from django.utils import timezone

from calls.models import AuditEntry, Call, DiscardedAudio, Segment
from calls.storage import audio_store, deletion
from tests.calls.admin.recordings import STARTED, Recording

DAY = timedelta(days=1)


def run(**options: Any) -> str:
    out = StringIO()
    call_command("delete_calls", stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


class DeleteCallsTests(TestCase):
    def setUp(self) -> None:
        self.old = Recording(started=STARTED - 2 * DAY).write()
        self.over_midnight = Recording(
            started=STARTED.replace(hour=23, minute=59, second=30) - DAY
        ).write()
        self.young = Recording(started=STARTED).write()
        self.names = list(
            Segment.objects.filter(participant__call=self.old).values_list("audio_name", flat=True)
        )

    def test_calls_that_ended_before_the_date_are_deleted_with_their_audio(self) -> None:
        output = run(ended_before="2026-11-03")
        self.assertEqual(set(Call.objects.all()), {self.over_midnight, self.young})
        self.assertFalse(any(audio_store().exists(name) for name in self.names))
        self.assertFalse(DiscardedAudio.objects.exists())
        self.assertIn("Deleted 1 calls with 2 segments", output)
        entry = AuditEntry.objects.get()
        self.assertEqual((entry.action, entry.call), ("deleted", self.old.pk))
        self.assertEqual(entry.call_connection_id, self.old.call_connection_id)
        self.assertIn("manage.py delete_calls", entry.actor_name)

    def test_a_dry_run_deletes_nothing(self) -> None:
        output = run(ended_before="2026-11-04", dry_run=True)
        self.assertIn("Would delete 3 calls with 6 segments", output)
        self.assertEqual(Call.objects.count(), 3)
        self.assertTrue(all(audio_store().exists(name) for name in self.names))

    def test_a_live_call_is_kept_for_any_date(self) -> None:
        live = Recording(started=STARTED - 9 * DAY, open_at=timezone.now()).write()
        run(ended_before="2100-01-01")
        self.assertEqual(Call.objects.get(), live)

    def test_a_call_that_is_live_again_is_kept_and_reported(self) -> None:
        errors = StringIO()
        with patch.object(deletion, "live_among", side_effect=[[self.old]]):
            call_command(
                "delete_calls", ended_before="2026-11-03", stdout=StringIO(), stderr=errors
            )
        self.assertTrue(Call.objects.filter(pk=self.old.pk).exists())
        self.assertIn(f"{self.old.pk} is live again", errors.getvalue())

    def test_an_invalid_date_is_refused(self) -> None:
        with self.assertRaisesMessage(CommandError, "--ended-before: 'yesterday' is not a date"):
            run(ended_before="yesterday")
        self.assertEqual(Call.objects.count(), 3)
