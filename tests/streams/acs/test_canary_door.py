"""Canary calls at the media socket: admitted with their own token, and with nothing else."""

from __future__ import annotations

import time
from typing import Any

from django.test import override_settings

from calls.canary import token as canary_token
from streams.acs.auth import HandshakeAuth, Reason, Unauthenticated, canary_id_of
from streams.acs.consumer import has_call_id
from streams.acs.jwks import KeySet
from tests.streams.handshakes import SECRET, HandshakeCase
from tests.streams.tokens import AUDIENCE, key_set, token

CANARY = "canary-4711"
QUERY = b"token=" + SECRET.encode()


def handshake(
    connection_id: str, bearer: str | None = None, *, query: bytes = QUERY
) -> dict[str, Any]:
    headers = [
        (b"host", b"media.example.com"),
        (b"X-MS-Call-Connection-Id", connection_id.encode()),
    ]
    if bearer is not None:
        headers.append((b"authorization", b"Bearer " + bearer.encode()))
    return {"type": "websocket", "path": "/ws/acs/media", "headers": headers, "query_string": query}


class CanaryDoorTests(HandshakeCase):
    def setUp(self) -> None:
        self.modes = {
            "jwt": HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(key_set)),
            "jwt and token": HandshakeAuth(
                "jwt", audience=AUDIENCE, stream_token=SECRET, keys=KeySet(key_set)
            ),
            "token": HandshakeAuth("token", stream_token=SECRET),
            "off": HandshakeAuth("off"),
        }

    async def test_its_own_token_admits_a_canary_call_in_every_mode(self) -> None:
        ours = canary_token.issue(CANARY, time.time())
        for mode, auth in self.modes.items():
            with self.subTest(mode):
                await self.assert_admitted(handshake(CANARY, ours), auth)

    async def test_no_real_call_hides_behind_the_id_of_a_canary(self) -> None:
        ours = canary_token.issue(CANARY, time.time())
        wrong = {
            "a token of ACS": (CANARY, token()),
            "the token of another canary": ("canary-4712", ours),
            "the token of a canary whose id begins alike": (CANARY + "1", ours),
            "another case, which SQLite does not tell apart": ("CANARY-4711", token()),
            "spaces that are stripped later": (f" {CANARY} ", token()),
            "no JWT": (CANARY, "guess"),
        }
        for mode, auth in self.modes.items():
            for name, (connection_id, bearer) in wrong.items():
                with self.subTest(mode, handshake=name):
                    await self.assert_refused(
                        Reason.WRONG_CANARY_TOKEN, handshake(connection_id, bearer), auth=auth
                    )
            with self.subTest(mode, handshake="nothing"):
                await self.assert_refused(
                    Reason.WRONG_CANARY_TOKEN, handshake(CANARY), Unauthenticated, auth
                )

    async def test_the_token_of_a_canary_admits_no_other_call(self) -> None:
        for connection_id in ("411f0b00-1", "", "canar"):
            with self.subTest(connection_id):
                ours = canary_token.issue(connection_id, time.time())
                await self.assert_refused(
                    Reason.WRONG_ALGORITHM, handshake(connection_id, ours), auth=self.modes["jwt"]
                )

    async def test_the_stream_token_is_required_of_canaries_too(self) -> None:
        ours = canary_token.issue(CANARY, time.time())
        for mode in ("jwt and token", "token"):
            with self.subTest(mode):
                auth, wrong = self.modes[mode], handshake(CANARY, ours, query=b"token=guess")
                await self.assert_refused(Reason.WRONG_STREAM_TOKEN, wrong, auth=auth)

    async def test_real_calls_are_admitted_as_before(self) -> None:
        for connection_id in ("411f0b00-1", "", "canar", "xcanary-1"):
            with self.subTest(connection_id):
                await self.assert_admitted(
                    handshake(connection_id, token()), self.modes["jwt and token"]
                )

    async def test_the_first_of_two_ids_counts_as_for_the_recorder(self) -> None:
        two = handshake("411f0b00-1", token())
        two["headers"].append((b"x-ms-call-connection-id", CANARY.encode()))
        await self.assert_admitted(two, self.modes["jwt"])
        self.assertEqual(canary_id_of(two), "")

    async def test_a_refused_canary_is_not_counted_as_one_of_acs(self) -> None:
        self.assertFalse(has_call_id(handshake(CANARY)))
        self.assertTrue(has_call_id(handshake("411f0b00-1")))


class SecretKeyTests(HandshakeCase):
    async def test_a_key_that_has_just_been_replaced_still_admits(self) -> None:
        auth = HandshakeAuth("off")
        with override_settings(SECRET_KEY="the key before " * 4):
            before = canary_token.issue(CANARY, time.time())
        await self.assert_refused(Reason.WRONG_CANARY_TOKEN, handshake(CANARY, before), auth=auth)
        with override_settings(SECRET_KEY_FALLBACKS=["the key before " * 4]):
            await self.assert_admitted(handshake(CANARY, before), auth)
