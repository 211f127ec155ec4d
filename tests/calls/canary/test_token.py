"""The token of a canary call: for one call, for five minutes, with a key of its own."""

from __future__ import annotations

import time
from typing import Any

import jwt
from django.conf import settings
from django.test import SimpleTestCase

from calls.canary.token import LEEWAY_SECONDS, LIFETIME_SECONDS, PURPOSE, _key, is_valid, issue

CALL = "canary-1"


class TokenTests(SimpleTestCase):
    def signed(self, key: bytes | None = None, /, **changed: Any) -> str:
        now = int(time.time())
        claims = {"aud": PURPOSE, "sub": CALL, "iat": now, "exp": now + 60, **changed}
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, key or _key(settings.SECRET_KEY), algorithm="HS256")

    def test_a_token_is_valid_for_its_call_only(self) -> None:
        token = issue(CALL, time.time())
        self.assertTrue(is_valid(token, CALL))
        self.assertFalse(is_valid(token, "canary-2"))

    def test_a_token_expires_after_five_minutes(self) -> None:
        for age, expected in ((LIFETIME_SECONDS, True), (LIFETIME_SECONDS + 60, False)):
            with self.subTest(age):
                token = issue(CALL, time.time() - age)
                self.assertEqual(is_valid(token, CALL), expected)
        self.assertLess(LEEWAY_SECONDS, 60)

    def test_claims_are_required_and_bounded(self) -> None:
        self.assertTrue(is_valid(self.signed(), CALL))
        now = int(time.time())
        for name, value in (
            ("exp", None),
            ("iat", None),
            ("aud", None),
            ("sub", None),
            ("aud", "acsmedia.other"),
            ("exp", now + LIFETIME_SECONDS + 10),
        ):
            with self.subTest(name, value=value):
                self.assertFalse(is_valid(self.signed(**{name: value}), CALL))

    def test_the_key_is_derived_for_canaries_alone(self) -> None:
        self.assertFalse(is_valid(self.signed(settings.SECRET_KEY.encode()), CALL))

    def test_unsigned_and_malformed_tokens_are_invalid(self) -> None:
        claims = jwt.decode(issue(CALL, time.time()), options={"verify_signature": False})
        for token in (jwt.encode(claims, "", algorithm="none"), "", "a.b.c", "\x00"):
            with self.subTest(token):
                self.assertFalse(is_valid(token, CALL))
