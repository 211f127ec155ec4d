"""Events of stored audio in the admin: those that are still true, and those that are not."""

from __future__ import annotations

from django.test import TestCase
from django.urls import reverse

from calls.models import LedgerEntry
from tests.calls.rows import START, make_call
from tests.people import person


class AudioFaultTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", is_staff=True))
        call = make_call()
        for reason, detail in (
            ("audio_missing", {"segment": "1"}),
            ("audio_damaged", {"segment": "2", "resolved_at": "2026-03-02T09:30:00Z"}),
            ("torn_tail", {}),
        ):
            LedgerEntry.objects.create(
                call=call, kind="damage", reason=reason, started_at=START, detail=detail
            )

    def reasons(self, query: str) -> set[str]:
        page = self.client.get(reverse("admin:calls_ledgerentry_changelist") + query)
        self.assertEqual(page.status_code, 200)
        return {entry.reason for entry in page.context["cl"].queryset}

    def test_are_filtered_by_whether_they_are_still_there(self) -> None:
        self.assertEqual(self.reasons("?audio=present"), {"audio_missing"})
        self.assertEqual(self.reasons("?audio=past"), {"audio_damaged"})
        self.assertEqual(self.reasons("?audio=odd"), self.reasons(""))

    def test_that_are_over_say_so(self) -> None:
        page = self.client.get(reverse("admin:calls_ledgerentry_changelist"))
        self.assertContains(page, "audio_damaged (resolved)")
        self.assertNotContains(page, "audio_missing (resolved)")
