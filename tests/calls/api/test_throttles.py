"""Rate limits of REST: they count refused requests too, by the address of the connection."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from django.core.cache import cache
from django.test import Client, TestCase
from rest_framework.authtoken.models import Token
from rest_framework.throttling import SimpleRateThrottle

from tests.people import person

ADDRESS = "/api/v1/calls/"


class ThrottleTests(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.addCleanup(cache.clear)
        rates = {"anon": "3/min", "user": "5/min"}
        self.enterContext(patch.object(SimpleRateThrottle, "THROTTLE_RATES", rates))

    def statuses(self, count: int, **headers: Any) -> list[int]:
        return [Client().get(ADDRESS, **headers).status_code for _ in range(count)]

    def test_requests_without_login_are_limited(self) -> None:
        self.assertEqual(self.statuses(4), [401, 401, 401, 429])

    def test_a_forged_address_does_not_help(self) -> None:
        for number in range(3):
            self.statuses(1, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
        self.assertEqual(self.statuses(1, HTTP_X_FORWARDED_FOR="203.0.113.9"), [429])

    def test_users_have_a_limit_of_their_own(self) -> None:
        self.statuses(4)
        key = Token.objects.create(user=person("engineer")).key
        answers = self.statuses(6, HTTP_AUTHORIZATION=f"Token {key}")
        self.assertEqual(answers, [200] * 5 + [429])
