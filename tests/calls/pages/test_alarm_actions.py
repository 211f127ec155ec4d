"""Actions on alarms over HTTP: JSON, CSRF, permission, and errors that name the field."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.test import Client, TestCase
from django.utils import timezone

from tests.calls.rows import make_alarm
from tests.people import person


class AlarmActions(TestCase):
    def setUp(self) -> None:
        self.alarm = make_alarm()
        self.client.force_login(person("olga", "view_call", "change_raisedalarm"))

    def post(self, action: str, **fields: Any) -> Any:
        return self.client.post(f"/alarms/{self.alarm.pk}/{action}", fields)

    def test_answer_who_looks_after_the_alarm(self) -> None:
        answer = self.post("acknowledge").json()
        self.assertEqual(answer["id"], str(self.alarm.pk))
        self.assertEqual(answer["acknowledged_by"], "olga")
        self.assertIsNone(self.post("release").json()["acknowledged_by"])

    def test_snooze_for_minutes(self) -> None:
        answer = self.post("snooze", minutes=30).json()
        self.alarm.refresh_from_db()
        assert self.alarm.snoozed_until, "it is snoozed"
        self.assertEqual(answer["snoozed_until"], self.alarm.snoozed_until.isoformat())
        seconds = (self.alarm.snoozed_until - timezone.now()).total_seconds()
        self.assertAlmostEqual(seconds, 1800, delta=60)

    def test_a_wrong_length_is_400_and_names_the_field(self) -> None:
        for minutes in ("", "0", "soon", "10081", "9" * 5000):
            with self.subTest(minutes[:9]):
                response = self.post("snooze", minutes=minutes)
                self.assertEqual(response.status_code, 400)
                self.assertEqual(list(response.json()), ["minutes"])
        self.alarm.refresh_from_db()
        self.assertIsNone(self.alarm.snoozed_until)

    def test_an_unknown_alarm_is_404_and_a_cleared_one_409(self) -> None:
        self.assertEqual(self.client.post(f"/alarms/{uuid4()}/acknowledge").status_code, 404)
        self.alarm.cleared_at = timezone.now()
        self.alarm.save()
        self.assertEqual(self.post("acknowledge").status_code, 409)

    def test_need_the_permission_the_method_and_the_token(self) -> None:
        self.assertEqual(self.client.get(f"/alarms/{self.alarm.pk}/acknowledge").status_code, 405)
        self.client.force_login(person("viewer", "view_call"))
        response = self.post("acknowledge")
        self.assertContains(response, "Listeners", status_code=403)
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(person("ivan", "view_call", "change_raisedalarm"))
        self.assertEqual(strict.post(f"/alarms/{self.alarm.pk}/acknowledge").status_code, 403)
        self.alarm.refresh_from_db()
        self.assertIsNone(self.alarm.acknowledged_at)
