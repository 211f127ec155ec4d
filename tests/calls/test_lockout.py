"""Whoever guesses passwords has to wait; others do not, and an administrator can end it."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client, RequestFactory, SimpleTestCase, TestCase, override_settings

from calls.lockout import client_address

LIMIT = 3
PASSWORD = "correct horse"


@override_settings(AXES_FAILURE_LIMIT=LIMIT)
class Guessing(TestCase):
    def setUp(self) -> None:
        self.user = User.objects.create_user("olga", password=PASSWORD, is_staff=True)

    def log_in(
        self, password: str, *, name: str = "olga", at: str = "/login/", **headers: Any
    ) -> Any:
        return Client().post(at, {"username": name, "password": password}, **headers)

    def guess(self, times: int = LIMIT, **where: Any) -> Any:
        answers = [self.log_in("wrong", **where) for _ in range(times)]
        return answers[-1]

    def test_has_to_wait_and_is_told_how_long(self) -> None:
        self.assertEqual(self.guess(LIMIT - 1).status_code, 200)
        answer = self.guess(1)
        self.assertEqual((answer.status_code, answer["Retry-After"]), (429, "900"))
        self.assertContains(answer, "Wait 15 minutes", status_code=429)

    def test_the_right_password_does_not_help_meanwhile(self) -> None:
        self.guess()
        self.assertEqual(self.log_in(PASSWORD).status_code, 429)

    def test_the_admin_has_the_same_door(self) -> None:
        self.guess(at="/admin/login/")
        self.assertEqual(self.log_in(PASSWORD).status_code, 429)
        self.assertEqual(self.log_in(PASSWORD, at="/admin/login/").status_code, 429)

    def test_a_login_that_succeeds_begins_the_count_anew(self) -> None:
        for _ in range(2):
            self.guess(LIMIT - 1)
            self.assertEqual(self.log_in(PASSWORD).status_code, 302)

    def test_nobody_else_is_locked_out(self) -> None:
        User.objects.create_user("anna", password=PASSWORD)
        self.guess()
        self.assertEqual(self.log_in(PASSWORD, name="anna").status_code, 302)
        self.assertEqual(
            self.log_in(PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.7").status_code, 302
        )

    def test_behind_a_proxy_addresses_are_told_apart(self) -> None:
        self.guess(HTTP_X_FORWARDED_FOR="203.0.113.9")
        self.assertEqual(self.log_in(PASSWORD, HTTP_X_FORWARDED_FOR="203.0.113.9").status_code, 429)
        self.assertEqual(self.log_in(PASSWORD).status_code, 302)

    def test_a_hostile_request_is_answered(self) -> None:
        hostile: list[dict[str, Any]] = [
            {"HTTP_X_FORWARDED_FOR": "x y"},
            {"at": "/login/?next=%00&%00=1"},
            {"name": "olga\0"},
            {"HTTP_USER_AGENT": "x" * 5000, "HTTP_ACCEPT": "y" * 5000},
        ]
        for request in hostile:
            with self.subTest(list(request)):
                AccessAttempt.objects.all().delete()
                self.assertEqual(self.guess(1, **request).status_code, 200)

    def test_open_sessions_go_on(self) -> None:
        here = Client()
        here.force_login(self.user)
        self.guess()
        self.assertEqual(here.get("/password/").status_code, 200)

    def test_an_administrator_ends_it(self) -> None:
        self.guess()
        anna = User.objects.create_user("anna", is_staff=True)
        anna.groups.set(Group.objects.filter(name="Administrators"))
        admin = Client()
        admin.force_login(anna)
        attempt = AccessAttempt.objects.get()
        self.assertContains(admin.get("/admin/axes/accessattempt/"), "olga")
        admin.post(f"/admin/axes/accessattempt/{attempt.pk}/delete/", {"post": "yes"})
        self.assertEqual(self.log_in(PASSWORD).status_code, 302)

    def test_nobody_is_named_in_the_log_and_no_password_is_kept(self) -> None:
        with self.assertLogs("axes", "INFO") as logs:
            self.guess(HTTP_X_FORWARDED_FOR="203.0.113.9")
        said = " ".join(logs.output)
        self.assertIn("Locking out", said)
        for personal in ("olga", "203.0.113.9", "wrong"):
            self.assertNotIn(personal, said)
        kept = str(AccessAttempt.objects.values().get())
        self.assertNotIn("wrong", kept)


class TheAddress(SimpleTestCase):
    def test_is_the_one_that_the_proxy_saw_or_else_the_one_that_is_connected(self) -> None:
        connected = "192.0.2.1"
        counts = {
            "203.0.113.9": "203.0.113.9",
            "198.51.100.7, 203.0.113.9": "203.0.113.9",
            "203.0.113.9:5000": "203.0.113.9",
            "[2001:db8::1]:99": "2001:db8::1",
            "2001:DB8::1%eth0": "2001:db8::1",
            **dict.fromkeys(
                ("", "unknown", "x y", "[]", "1.2.3", "203.0.113.9,", "a" * 10_000), connected
            ),
        }
        for claimed, address in counts.items():
            with self.subTest(claimed[:40]):
                request = RequestFactory().get(
                    "/", HTTP_X_FORWARDED_FOR=claimed, REMOTE_ADDR=connected
                )
                self.assertEqual(client_address(request), address)

    def test_is_none_behind_a_unix_socket(self) -> None:
        self.assertIsNone(client_address(RequestFactory().get("/", REMOTE_ADDR="")))
