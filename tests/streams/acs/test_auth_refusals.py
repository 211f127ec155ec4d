"""The limit of concurrent handshakes, and the log of refusals."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from unittest import mock

from streams.acs import auth
from streams.acs.auth import (
    Forbidden,
    HandshakeAuth,
    Reason,
    Refused,
    Unauthenticated,
    Undecided,
)
from streams.acs.jwks import KeySet
from streams.log_limiter import INTERVAL_SECONDS
from tests.streams.handshakes import SECRET, HandshakeCase
from tests.streams.tokens import AUDIENCE, KEY_ID, key_set, scope, token


class LimitTests(HandshakeCase):
    async def test_a_full_queue_refuses_and_accepts_again_later(self) -> None:
        with mock.patch.object(auth, "MAX_WAITING", 1):
            self.auth = HandshakeAuth("off")
        burst = [asyncio.create_task(self.auth.admit(scope())) for _ in range(2)]
        await asyncio.sleep(0)  # one has proceeded, one waits
        await self.assert_refused(Reason.OVERLOADED, scope(), Undecided)
        await asyncio.gather(*burst)
        await self.assert_admitted(scope())

    async def test_strangers_take_turns_and_wait_in_no_queue_of_right_ones(self) -> None:
        with mock.patch.object(auth, "MAX_WAITING", 20):
            self.auth = HandshakeAuth("token", stream_token=SECRET)
        strangers = [asyncio.create_task(self.auth.admit(scope())) for _ in range(100)]
        right = scope(query=f"token={SECRET}".encode())
        rightful = [asyncio.create_task(self.auth.admit(right)) for _ in range(2)]
        await asyncio.sleep(0)
        # one has had its turn; those beyond the queue are refused without waiting
        self.assertEqual(sum(task.done() for task in strangers), 100 - 20)
        await asyncio.gather(*rightful)
        self.assertGreater(sum(not task.done() for task in strangers), 10)
        await asyncio.wait(strangers)
        self.assertEqual({type(task.exception()) for task in strangers}, {Unauthenticated})


class LogTests(HandshakeCase):
    """Refusals are logged with a reason and no secret; a flood of strangers makes no flood of
    lines.
    """

    def setUp(self) -> None:
        self.now = 0.0
        self.auth = HandshakeAuth("token", stream_token=SECRET, clock=lambda: self.now)

    async def attempt(self, query: bytes = b"token=guess-of-a-stranger") -> None:
        with self.assertRaises(Refused):
            await self.auth.admit(scope(query=query))

    async def test_the_log_contains_the_reason_and_no_token(self) -> None:
        with self.assertLogs("streams.acs.auth", "WARNING") as logs:
            await self.attempt()
        self.assertIn("wrong stream token", logs.output[0])
        self.assertNotIn("guess", logs.output[0])
        self.assertNotIn(SECRET, logs.output[0])

    async def test_the_log_names_the_address(self) -> None:
        handshake = {**scope(query=b"token=x"), "client": ("192.0.2.7", 4711)}
        with self.assertLogs("streams.acs.auth", "WARNING") as logs, self.assertRaises(Refused):
            await self.auth.admit(handshake)
        self.assertIn("192.0.2.7", logs.output[0])
        headers = [*handshake["headers"], (b"x-forwarded-for", b"203.0.113.9")]
        proxies = {"TRUSTED_PROXIES": [ip_network("192.0.2.0/24")]}
        self.now += INTERVAL_SECONDS
        with (
            self.settings(**proxies),
            self.assertLogs("streams.acs.auth", "WARNING") as logs,
            self.assertRaises(Refused),
        ):
            await self.auth.admit({**handshake, "headers": headers})
        self.assertIn("203.0.113.9", logs.output[0])

    async def test_repeated_refusals_are_counted_instead_of_logged(self) -> None:
        with self.assertLogs("streams.acs.auth", "WARNING") as logs:
            for _ in range(100):
                await self.attempt()
            await self.attempt(b"")
            self.now += INTERVAL_SECONDS
            await self.attempt()
        self.assertEqual(len(logs.output), 3)
        self.assertIn("no stream token", logs.output[1])
        self.assertIn("99", logs.output[2])

    async def test_a_refusal_after_a_good_signature_is_one_of_acs(self) -> None:
        self.auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(key_set))
        for bearer, is_signed in (
            (token(exp=1), True),
            (token(nbf=2**33), True),
            (token(without="exp"), True),
            (token(iss="another"), True),
            (token(aud="another"), True),
            (token(key="another"), False),
            (token(key="another", header={"kid": KEY_ID}, exp=1), False),
            (token(header={"kid": ""}), False),
            (None, False),
        ):
            with self.assertRaises(Refused) as caught:
                await self.auth.admit(scope(bearer=bearer))
            self.assertIs(caught.exception.is_signed, is_signed, caught.exception.reason)

    async def test_the_exception_contains_the_reason_and_no_token(self) -> None:
        with self.assertRaises(Refused) as caught:
            await self.auth.admit(scope(query=b"token=guess-of-a-stranger"))
        self.assertEqual(str(caught.exception), "wrong stream token")

    def test_every_refusal_has_its_own_status_and_close_code(self) -> None:
        kinds = [Unauthenticated, Forbidden, Undecided]
        self.assertEqual(
            [(kind.status, kind.close_code) for kind in kinds],
            [(401, 4401), (403, 4403), (503, 4503)],
        )
