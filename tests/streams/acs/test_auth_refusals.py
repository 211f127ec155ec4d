"""What is said of those who are not let in, and how many may wait for an answer."""

from __future__ import annotations

import asyncio
from unittest import mock

from streams.acs import auth
from streams.acs.auth import (
    LOG_INTERVAL_SECONDS,
    Forbidden,
    HandshakeAuth,
    Reason,
    Refused,
    Unauthenticated,
    Undecided,
)
from tests.streams.handshakes import SECRET, HandshakeCase
from tests.streams.tokens import scope


class CrowdTests(HandshakeCase):
    async def test_beyond_the_bound_is_refused_and_may_try_again(self) -> None:
        with mock.patch.object(auth, "MAX_WAITING", 1):
            self.auth = HandshakeAuth("off")
        crowd = [asyncio.create_task(self.auth.admit(scope())) for _ in range(2)]
        await asyncio.sleep(0)  # one has gone in, one waits
        await self.assert_refused(Reason.OVERLOADED, scope(), Undecided)
        await asyncio.gather(*crowd)
        await self.assert_admitted(scope())

    async def test_is_not_asked_for_a_token_before_its_turn(self) -> None:
        self.auth = HandshakeAuth("token", stream_token=SECRET)
        crowd = [asyncio.create_task(self.auth.admit(scope())) for _ in range(3)]
        await asyncio.sleep(0)
        self.assertEqual([task.done() for task in crowd], [True, False, False])
        await asyncio.wait(crowd)
        self.assertEqual({type(task.exception()) for task in crowd}, {Unauthenticated})


class LogTests(HandshakeCase):
    """One line says why; it holds no secret, and a flood of strangers makes no flood of lines."""

    def setUp(self) -> None:
        self.now = 0.0
        self.auth = HandshakeAuth("token", stream_token=SECRET, clock=lambda: self.now)

    async def knock(self, query: bytes = b"token=guess-of-a-stranger") -> None:
        with self.assertRaises(Refused):
            await self.auth.admit(scope(query=query))

    async def test_the_line_names_the_reason_and_no_token(self) -> None:
        with self.assertLogs("streams.acs.auth", "WARNING") as logs:
            await self.knock()
        self.assertIn("wrong stream token", logs.output[0])
        self.assertNotIn("guess", logs.output[0])
        self.assertNotIn(SECRET, logs.output[0])

    async def test_repeated_refusals_are_counted_instead_of_written(self) -> None:
        with self.assertLogs("streams.acs.auth", "WARNING") as logs:
            for _ in range(100):
                await self.knock()
            await self.knock(b"")
            self.now += LOG_INTERVAL_SECONDS
            await self.knock()
        self.assertEqual(len(logs.output), 3)
        self.assertIn("no stream token", logs.output[1])
        self.assertIn("99", logs.output[2])

    async def test_an_exception_says_the_reason_and_no_token(self) -> None:
        with self.assertRaises(Refused) as caught:
            await self.auth.admit(scope(query=b"token=guess-of-a-stranger"))
        self.assertEqual(str(caught.exception), "wrong stream token")

    def test_every_refusal_has_its_own_status_and_close_code(self) -> None:
        kinds = [Unauthenticated, Forbidden, Undecided]
        self.assertEqual(
            [(kind.status, kind.close_code) for kind in kinds],
            [(401, 4401), (403, 4403), (503, 4503)],
        )
