"""The key set: fetched once, shared, renewed rarely, kept while it cannot be renewed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from threading import Event
from typing import Any
from unittest import mock

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from streams.acs.jwks import (
    LIFETIME_SECONDS,
    MAX_BYTES,
    MAX_KEYS,
    MIN_INTERVAL_SECONDS,
    KeySet,
    KeysUnavailable,
    UnknownKey,
    from_url,
    parse_key_set,
)
from tests.streams.tokens import key_server, key_set, private_key, public_jwk


class Clock:
    """Seconds that pass when the test advances `now`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeFetch:
    """Returns `answer` or raises it; counts calls; a cleared `gate` delays it in its thread."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.calls = 0
        self.started = Event()
        self.gate = Event()
        self.gate.set()

    def __call__(self) -> bytes:
        self.calls += 1
        self.started.set()
        self.gate.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class KeySetTests(SimpleTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.fetch = FakeFetch(key_set("a"))
        self.keys = KeySet(self.fetch, clock=self.clock)

    async def test_a_key_is_fetched_when_first_needed_and_then_kept(self) -> None:
        first = await self.keys.find("a")
        again = await self.keys.find("a")
        self.assertEqual(first.public_numbers(), private_key("a").public_key().public_numbers())
        self.assertIs(first, again)
        self.assertEqual(self.fetch.calls, 1)

    async def test_an_unknown_key_id_causes_one_request_that_finds_a_new_key(self) -> None:
        await self.keys.find("a")
        self.fetch.answer = key_set("a", "b")
        self.clock.now += MIN_INTERVAL_SECONDS
        await self.keys.find("b")
        self.assertEqual(self.fetch.calls, 2)

    async def test_unknown_keys_cause_one_request_per_interval(self) -> None:
        await self.keys.find("a")
        self.clock.now += MIN_INTERVAL_SECONDS
        for number in range(50):
            with self.assertRaises(UnknownKey):
                await self.keys.find(f"stranger-{number}")
        self.assertEqual(self.fetch.calls, 2)

    async def test_an_expired_set_is_renewed_and_a_withdrawn_key_is_unknown(self) -> None:
        await self.keys.find("a")
        self.fetch.answer = key_set("b")
        self.clock.now += LIFETIME_SECONDS
        with self.assertRaises(UnknownKey):
            await self.keys.find("a")
        self.assertEqual(self.fetch.calls, 2)

    async def test_an_expired_set_stays_in_use_while_it_cannot_be_renewed(self) -> None:
        await self.keys.find("a")
        self.fetch.answer = OSError("no route")
        self.clock.now += LIFETIME_SECONDS
        with self.assertLogs("streams.acs.jwks", "WARNING") as logs:
            await self.keys.find("a")
            await self.keys.find("a")
        self.assertEqual(self.fetch.calls, 2)
        self.assertIn("OSError", logs.output[0])

    async def test_without_any_answer_keys_are_unavailable(self) -> None:
        self.fetch.answer = OSError("no route")
        with self.assertLogs("streams.acs.jwks", "WARNING"), self.assertRaises(KeysUnavailable):
            await self.keys.find("a")

    async def test_an_unknown_key_is_undecided_while_the_server_is_unreachable(self) -> None:
        await self.keys.find("a")
        self.fetch.answer = OSError("no route")
        self.clock.now += MIN_INTERVAL_SECONDS
        with self.assertLogs("streams.acs.jwks", "WARNING"), self.assertRaises(KeysUnavailable):
            await self.keys.find("b")

    async def test_a_failed_fetch_is_repeated_only_after_the_interval(self) -> None:
        self.fetch.answer = OSError("no route")
        with self.assertLogs("streams.acs.jwks", "WARNING"), self.assertRaises(KeysUnavailable):
            await self.keys.find("a")
        self.fetch.answer = key_set("a")
        with self.assertRaises(KeysUnavailable):
            await self.keys.find("a")
        self.clock.now += MIN_INTERVAL_SECONDS
        await self.keys.find("a")
        self.assertEqual(self.fetch.calls, 2)

    async def test_concurrent_handshakes_share_one_request(self) -> None:
        self.fetch.gate.clear()
        waiting = [asyncio.ensure_future(self.keys.find("a")) for _ in range(20)]
        await asyncio.to_thread(self.fetch.started.wait, 5)
        self.fetch.gate.set()
        found = await asyncio.gather(*waiting)
        self.assertEqual(len({id(key) for key in found}), 1)
        self.assertEqual(self.fetch.calls, 1)

    async def test_a_cancelled_handshake_does_not_cancel_the_shared_request(self) -> None:
        self.fetch.gate.clear()
        leaves, stays = (asyncio.ensure_future(self.keys.find("a")) for _ in range(2))
        await asyncio.to_thread(self.fetch.started.wait, 5)
        leaves.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await leaves
        self.fetch.gate.set()
        await stays
        self.assertEqual(self.fetch.calls, 1)

    async def test_a_handshake_waits_no_longer_than_its_timeout(self) -> None:
        self.fetch.gate.clear()
        self.addCleanup(self.fetch.gate.set)
        keys = KeySet(self.fetch, clock=self.clock, patience_seconds=0.01)
        with self.assertRaises(KeysUnavailable):
            await asyncio.wait_for(keys.find("a"), 5)
        self.assertEqual(self.fetch.calls, 1)

    async def test_an_unexpected_error_is_logged_with_traceback_and_fetching_continues(
        self,
    ) -> None:
        self.fetch.answer = ZeroDivisionError()
        with (
            self.assertLogs("streams.acs.jwks", "WARNING") as logs,
            self.assertRaises(KeysUnavailable),
        ):
            await self.keys.find("a")
        self.assertIn("Traceback", logs.output[0])
        self.fetch.answer = key_set("a")
        self.clock.now += MIN_INTERVAL_SECONDS
        await self.keys.find("a")

    def test_several_event_loops_may_use_one_set(self) -> None:
        for _ in range(3):
            asyncio.run(self._find())
        self.assertEqual(self.fetch.calls, 1)

    async def _find(self) -> None:
        await self.keys.find("a")


class FetchTests(SimpleTestCase):
    def test_the_document_is_fetched(self) -> None:
        with key_server() as server:
            self.assertEqual(from_url(server.url)(), server.document)

    def test_a_redirect_is_not_followed(self) -> None:
        with key_server() as elsewhere, key_server() as server:
            server.status, server.location = 302, elsewhere.url
            with self.assertRaises(OSError):
                from_url(server.url)()
            self.assertEqual(elsewhere.requests, 0)

    def test_an_error_status_is_an_error(self) -> None:
        with key_server() as server:
            server.status = 500
            with self.assertRaises(OSError):
                from_url(server.url)()

    def test_a_response_that_is_too_large_is_an_error(self) -> None:
        with (
            key_server(b" " * (MAX_BYTES + 1)) as server,
            self.assertRaisesMessage(ValueError, "too large"),
        ):
            from_url(server.url)()

    def test_a_server_that_does_not_respond_is_an_error(self) -> None:
        with key_server() as server:
            server.open.clear()
            with self.assertRaises(OSError):
                from_url(server.url, timeout_seconds=0.05)()

    def test_a_server_that_sends_byte_by_byte_is_an_error(self) -> None:
        """Each byte would begin the time limit of the socket anew."""
        with key_server() as server, mock.patch("streams.acs.jwks.time") as time:
            time.monotonic.side_effect = itertools.count(0, 10)  # seconds between two reads
            with self.assertRaisesMessage(TimeoutError, "too slow"):
                from_url(server.url, timeout_seconds=5)()

    def test_only_http_urls_are_fetched(self) -> None:
        for url in ("file:///etc/passwd", "ftp://example.com/keys", "data:,x", ""):
            with self.subTest(url), self.assertRaises(ValueError):
                from_url(url)

    async def test_a_slow_key_server_does_not_block_the_event_loop(self) -> None:
        with key_server(key_set("a")) as server:
            server.open.clear()
            keys = KeySet(from_url(server.url))
            waiting = asyncio.ensure_future(keys.find("a"))
            # a blocked loop would continue only after the response
            await asyncio.to_thread(server.asked.wait, 5)
            self.assertFalse(waiting.done())
            server.open.set()
            await waiting


class ParseTests(SimpleTestCase):
    def test_unusable_keys_are_skipped(self) -> None:
        number = base64.urlsafe_b64encode(b"\x03").decode()
        entries: list[Any] = [
            public_jwk("good"),
            public_jwk("encryption", use="enc"),
            public_jwk("short", bits=1024),
            {**public_jwk("nameless"), "kid": None},
            {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "no numbers"},
            {"kty": "RSA", "kid": "tiny", "n": number, "e": number},
            {"kty": "RSA", "kid": "wrong types", "n": 5, "e": []},
            "no object",
        ]
        self.assertEqual(list(parse_key_set(json.dumps({"keys": entries}).encode())), ["good"])

    def test_only_the_first_keys_of_a_very_long_list_are_read(self) -> None:
        entry = public_jwk("a")
        entries = [{**entry, "kid": str(number)} for number in range(MAX_KEYS + 1)]
        keys = parse_key_set(json.dumps({"keys": entries}).encode())
        self.assertEqual(list(keys), [str(number) for number in range(MAX_KEYS)])

    def test_a_private_key_published_by_mistake_is_used_as_public(self) -> None:
        entry = {**RSAAlgorithm.to_jwk(private_key("good"), as_dict=True), "kid": "good"}
        key = parse_key_set(json.dumps({"keys": [entry]}).encode())["good"]
        self.assertEqual(key.public_numbers(), private_key("good").public_key().public_numbers())

    def test_invalid_documents_are_errors(self) -> None:
        wrong = [
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b'{"keys":{}}',
            b'{"keys":[]}',
            b'{"keys":' + b"[" * 100_000,
        ]
        for document in wrong:
            with self.subTest(document[:20]), self.assertRaises(ValueError):
                parse_key_set(document)

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda s: st.lists(s) | st.dictionaries(st.text(), s),
        )
    )
    def test_any_json_is_a_key_set_or_a_value_error(self, member: object) -> None:
        documents: list[Callable[[], object]] = [
            lambda: member,
            lambda: {"keys": member},
            lambda: {"keys": [{"kty": "RSA", "kid": "x", "n": member, "e": member}]},
        ]
        for document in documents:
            with self.assertRaises(ValueError):
                parse_key_set(json.dumps(document()).encode())
