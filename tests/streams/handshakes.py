"""A door, and sentences about it."""

from __future__ import annotations

from typing import Any

from django.test import SimpleTestCase

from streams.acs.auth import Forbidden, HandshakeAuth, Reason, Refused

SECRET = "a-secret+of/the=address"


class DoorCase(SimpleTestCase):
    door: HandshakeAuth

    async def assert_admitted(
        self, handshake: dict[str, Any], door: HandshakeAuth | None = None
    ) -> None:
        try:
            await (door or self.door).admit(handshake)
        except Refused as refused:
            self.fail(f"refused: {refused}")

    async def assert_refused(
        self,
        reason: Reason,
        handshake: dict[str, Any],
        kind: type[Refused] = Forbidden,
        door: HandshakeAuth | None = None,
    ) -> None:
        with self.assertRaises(kind) as caught:
            await (door or self.door).admit(handshake)
        self.assertEqual(caught.exception.reason, reason)
