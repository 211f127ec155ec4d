"""Login lock-out after failed attempts, and the client address that it uses."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client, RequestFactory, SimpleTestCase, TestCase, override_settings

from calls.lockout import client_address, client_of_socket

LIMIT = 3
PASSWORD = "correct horse"


@override_settings(AXES_FAILURE_LIMIT=LIMIT, TRUSTED_PROXIES=[ip_network("127.0.0.1")])
class LockoutTests(TestCase):
    def setUp(self) -> None:
        self.user = User.objects.create_user("olga", password=PASSWORD, is_staff=True)

    def log_in(
        self, password: str, *, name: str = "olga", at: str = "/login/", **headers: Any
    ) -> Any:
        return Client().post(at, {"username": name, "password": password}, **headers)

    def guess(self, times: int = LIMIT, **where: Any) -> Any:
        responses = [self.log_in("wrong", **where) for _ in range(times)]
        return responses[-1]

    def test_too_many_failures_lock_the_login_for_a_stated_time(self) -> None:
        self.assertEqual(self.guess(LIMIT - 1).status_code, 200)
        response = self.guess(1)
        self.assertEqual((response.status_code, response["Retry-After"]), (429, "900"))
        self.assertContains(response, "Wait 15 minutes", status_code=429)

    def test_the_right_password_is_refused_while_locked(self) -> None:
        self.guess()
        self.assertEqual(self.log_in(PASSWORD).status_code, 429)

    def test_the_admin_shares_the_lockout(self) -> None:
        self.guess(at="/admin/login/")
        self.assertEqual(self.log_in(PASSWORD).status_code, 429)
        self.assertEqual(self.log_in(PASSWORD, at="/admin/login/").status_code, 429)

    def test_a_successful_login_resets_the_count(self) -> None:
        for _ in range(2):
            self.guess(LIMIT - 1)
            self.assertEqual(self.log_in(PASSWORD).status_code, 302)

    def test_other_users_and_addresses_are_not_locked_out(self) -> None:
        User.objects.create_user("anna", password=PASSWORD)
        self.guess()
        self.assertEqual(self.log_in(PASSWORD, name="anna").status_code, 302)
        self.assertEqual(
            self.log_in(PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.7").status_code, 302
        )

    def test_addresses_behind_a_proxy_are_separate(self) -> None:
        self.guess(HTTP_X_FORWARDED_FOR="203.0.113.9")
        self.assertEqual(self.log_in(PASSWORD, HTTP_X_FORWARDED_FOR="203.0.113.9").status_code, 429)
        self.assertEqual(self.log_in(PASSWORD).status_code, 302)

    def test_a_hostile_request_gets_a_response(self) -> None:
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

    def test_open_sessions_continue(self) -> None:
        client = Client()
        client.force_login(self.user)
        self.guess()
        self.assertEqual(client.get("/password/").status_code, 200)

    def test_an_administrator_can_end_the_lockout(self) -> None:
        self.guess()
        anna = User.objects.create_user("anna", is_staff=True)
        anna.groups.set(Group.objects.filter(name="Administrators"))
        admin = Client()
        admin.force_login(anna)
        attempt = AccessAttempt.objects.get()
        self.assertContains(admin.get("/admin/axes/accessattempt/"), "olga")
        admin.post(f"/admin/axes/accessattempt/{attempt.pk}/delete/", {"post": "yes"})
        self.assertEqual(self.log_in(PASSWORD).status_code, 302)

    def test_the_log_has_no_identities_and_no_password_is_stored(self) -> None:
        with self.assertLogs("axes", "INFO") as logs:
            self.guess(HTTP_X_FORWARDED_FOR="203.0.113.9")
        output = " ".join(logs.output)
        self.assertIn("Locking out", output)
        for personal in ("olga", "203.0.113.9", "wrong"):
            self.assertNotIn(personal, output)
        stored = str(AccessAttempt.objects.values().get())
        self.assertNotIn("wrong", stored)


@override_settings(TRUSTED_PROXIES=[ip_network("192.0.2.0/24"), ip_network("203.0.113.200")])
class ClientAddressTests(SimpleTestCase):
    def test_nobody_else_is_believed(self) -> None:
        for connected in ("198.51.100.1", "2001:db8::9"):
            request = RequestFactory().get(
                "/", HTTP_X_FORWARDED_FOR="203.0.113.9", REMOTE_ADDR=connected
            )
            self.assertEqual(client_address(request), connected)
        with self.settings(TRUSTED_PROXIES=[]):
            request = RequestFactory().get(
                "/", HTTP_X_FORWARDED_FOR="203.0.113.9", REMOTE_ADDR="127.0.0.1"
            )
            self.assertEqual(client_address(request), "127.0.0.1")

    def test_the_address_is_the_one_the_proxy_saw_or_else_the_connection(self) -> None:
        connected = "192.0.2.1"
        addresses = {
            "203.0.113.9": "203.0.113.9",
            "198.51.100.7, 203.0.113.9": "203.0.113.9",
            "203.0.113.9, 203.0.113.200": "203.0.113.9",
            "203.0.113.9, bad, 203.0.113.200": "203.0.113.200",
            "203.0.113.9:5000": "203.0.113.9",
            "[2001:db8::1]:99": "2001:db8::1",
            "2001:DB8::1%eth0": "2001:db8::1",
            **dict.fromkeys(
                ("", "unknown", "x y", "[]", "1.2.3", "203.0.113.9,", "a" * 10_000), connected
            ),
        }
        for claimed, address in addresses.items():
            with self.subTest(claimed[:40]):
                request = RequestFactory().get(
                    "/", HTTP_X_FORWARDED_FOR=claimed, REMOTE_ADDR=connected
                )
                self.assertEqual(client_address(request), address)

    def test_proxies_of_a_socket_may_each_add_a_header(self) -> None:
        """Only the last one is from a trusted proxy."""
        forged, seen = (b"x-forwarded-for", b"198.51.100.7"), (b"x-forwarded-for", b"203.0.113.9")
        handshake = {"client": ("192.0.2.1", 4711), "headers": [forged, seen]}
        self.assertEqual(client_of_socket(handshake), "203.0.113.9")
        handshake["client"] = ("198.51.100.1", 4711)
        self.assertEqual(client_of_socket(handshake), "198.51.100.1")

    def test_there_is_no_address_behind_a_unix_socket(self) -> None:
        self.assertIsNone(client_address(RequestFactory().get("/", REMOTE_ADDR="")))
