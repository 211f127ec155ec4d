"""Periodic jobs in the admin: their last run and its error, read only."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from calls.models import JobLease
from tests.people import person

LIST = reverse("admin:calls_joblease_changelist")


class PeriodicJobs(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_joblease", is_staff=True))
        self.now = timezone.now()
        JobLease.objects.create(name="mail", ran_at=self.now, last_error="<b>refused</b>")

    def words(self, address: str) -> str:
        response = self.client.get(address)
        self.assertEqual(response.status_code, 200)
        return " ".join(strip_tags(response.content.decode()).split())

    def test_are_listed_with_their_last_run_and_its_error(self) -> None:
        words = self.words(LIST)
        self.assertIn(f"{self.now:%Y-%m-%d %H:%M:%S}", words)
        self.assertIn("&lt;b&gt;refused&lt;/b&gt;", words)
        self.assertIn("1 periodic job", words)
        self.assertIn("mail", self.words(f"{LIST}?q=mail"))
        self.assertIn("Last run", self.words(reverse("admin:calls_joblease_change", args=["mail"])))

    def test_say_whether_they_run(self) -> None:
        for until, state in (
            (None, "waiting"),
            (self.now + timedelta(minutes=1), "running"),
            (self.now - timedelta(minutes=1), "its process has died"),
        ):
            with self.subTest(state):
                JobLease.objects.update(expires_at=until, holder=uuid4() if until else None)
                self.assertIn(state, self.words(LIST))

    def test_cannot_be_changed(self) -> None:
        address = reverse("admin:calls_joblease_change", args=["mail"])
        self.client.post(address, {"last_error": ""})
        self.assertTrue(JobLease.objects.get().last_error)
