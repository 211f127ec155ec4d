"""Assertions about the authentication of handshakes."""

from __future__ import annotations

from typing import Any

from django.test import SimpleTestCase

from streams.acs.auth import Forbidden, HandshakeAuth, Reason, Refused

SECRET = "a-secret+of/the=address"


class HandshakeCase(SimpleTestCase):
    auth: HandshakeAuth

    async def assert_admitted(
        self, handshake: dict[str, Any], auth: HandshakeAuth | None = None
    ) -> None:
        try:
            await (auth or self.auth).admit(handshake)
        except Refused as refused:
            self.fail(f"refused: {refused}")

    async def assert_refused(
        self,
        reason: Reason,
        handshake: dict[str, Any],
        kind: type[Refused] = Forbidden,
        auth: HandshakeAuth | None = None,
    ) -> None:
        with self.assertRaises(kind) as caught:
            await (auth or self.auth).admit(handshake)
        self.assertEqual(caught.exception.reason, reason)
