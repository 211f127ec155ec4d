"""Modes of authentication other than JWT, and the settings that choose a mode."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from streams.acs.auth import HandshakeAuth, Reason, Refused, Unauthenticated
from streams.acs.bearer import MAX_QUERY_BYTES
from streams.acs.jwks import KeySet
from tests.streams.handshakes import SECRET, HandshakeCase
from tests.streams.tokens import AUDIENCE, key_server, key_set, scope, token


class UnknownModeTests(HandshakeCase):
    def test_a_mode_that_would_check_nothing_is_an_error(self) -> None:
        with self.assertRaisesRegex(AssertionError, "unknown mode"):
            HandshakeAuth("tokens", stream_token=SECRET)  # type: ignore[arg-type]


class StreamTokenTests(HandshakeCase):
    def setUp(self) -> None:
        self.auth = HandshakeAuth("token", stream_token=SECRET)

    async def test_the_secret_is_accepted_verbatim_and_percent_encoded(self) -> None:
        await self.assert_admitted(scope(query=b"token=" + SECRET.encode()))
        await self.assert_admitted(scope(query=b"a=1&token=a-secret%2Bof%2fthe%3Daddress&b"))

    async def test_the_previous_secret_is_accepted_while_it_is_set(self) -> None:
        before = "the-secret-of-last-year"
        await self.assert_refused(
            Reason.WRONG_STREAM_TOKEN, scope(query=b"token=" + before.encode())
        )
        self.auth = HandshakeAuth("token", stream_token=SECRET, previous_token=before)
        for secret in (SECRET, before):
            await self.assert_admitted(scope(query=b"token=" + secret.encode()))
        await self.assert_refused(Reason.WRONG_STREAM_TOKEN, scope(query=b"token="))

    async def test_a_wrong_secret_is_refused(self) -> None:
        for secret in (
            b"",
            b"a",
            SECRET.encode()[:-1],
            SECRET.encode() + b"x",
            SECRET.upper().encode(),
            b"%ff%00",
        ):
            with self.subTest(secret):
                handshake = scope(query=b"token=" + secret)
                await self.assert_refused(Reason.WRONG_STREAM_TOKEN, handshake)

    async def test_no_secret_is_refused(self) -> None:
        for query in (b"", b"Token=" + SECRET.encode(), b"xtoken=" + SECRET.encode(), b"&&=&;"):
            with self.subTest(query):
                await self.assert_refused(
                    Reason.NO_STREAM_TOKEN, scope(query=query), Unauthenticated
                )

    async def test_a_second_token_parameter_is_refused(self) -> None:
        query = b"token=" + SECRET.encode() + b"&token=x"
        await self.assert_refused(Reason.WRONG_STREAM_TOKEN, scope(query=query))

    async def test_a_query_string_that_is_too_long_is_not_parsed(self) -> None:
        await self.assert_refused(Reason.QUERY_TOO_LONG, scope(query=b"&" * (MAX_QUERY_BYTES + 1)))

    async def test_a_jwt_does_not_replace_the_secret(self) -> None:
        await self.assert_refused(Reason.NO_STREAM_TOKEN, scope(bearer=token()), Unauthenticated)

    async def test_a_scope_without_a_query_string_is_refused(self) -> None:
        await self.assert_refused(
            Reason.NO_STREAM_TOKEN, {"type": "websocket", "headers": []}, Unauthenticated
        )

    @given(st.binary(max_size=200))
    def test_arbitrary_query_strings_are_refused_without_another_error(self, query: bytes) -> None:
        with self.assertRaises(Refused):
            asyncio.run(self.auth.admit(scope(query=query)))
        with self.assertRaises(Refused):
            asyncio.run(self.auth.admit(scope(query=b"token=" + query)))


class AuthOffTests(HandshakeCase):
    async def test_every_handshake_is_accepted(self) -> None:
        await self.assert_admitted({"type": "websocket", "headers": []}, HandshakeAuth("off"))

    def test_missing_arguments_are_an_assertion_error(self) -> None:
        with self.assertRaises(AssertionError):
            HandshakeAuth("token")
        with self.assertRaises(AssertionError):
            HandshakeAuth("jwt", audience=AUDIENCE)
        with self.assertRaises(AssertionError):
            HandshakeAuth("jwt", keys=KeySet(key_set))


class SettingsTests(HandshakeCase):
    @override_settings(ACS_AUTH="token", ACS_STREAM_TOKEN=SECRET)
    async def test_the_settings_determine_mode_and_secret(self) -> None:
        auth = HandshakeAuth.from_settings()
        await self.assert_refused(Reason.NO_STREAM_TOKEN, scope(), Unauthenticated, auth)
        await self.assert_admitted(scope(query=b"token=" + SECRET.encode()), auth)

    async def test_the_settings_determine_the_key_server(self) -> None:
        values = {
            "DEBUG": True,
            "ACS_AUTH": "jwt",
            "ACS_RESOURCE_ID": AUDIENCE,
            "ACS_STREAM_TOKEN": "",
        }
        with key_server() as server, override_settings(**values, ACS_JWKS_URL=server.url):
            await self.assert_admitted(scope(bearer=token()), HandshakeAuth.from_settings())

    def test_settings_that_would_accept_anyone_are_an_error(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"ACS_AUTH": "off", "DEBUG": False},
            {"ACS_AUTH": "token", "ACS_STREAM_TOKEN": ""},
            {"ACS_AUTH": "jwt", "ACS_RESOURCE_ID": ""},
            {
                "ACS_AUTH": "jwt",
                "ACS_RESOURCE_ID": AUDIENCE,
                "ACS_JWKS_URL": "http://example.com/keys",
            },
        ]
        for values in wrong:
            with (
                self.subTest(values),
                override_settings(**values),
                self.assertRaises(ImproperlyConfigured),
            ):
                HandshakeAuth.from_settings()
