"""Authentication of handshakes: accepted and refused credentials, with the reason of
each refusal.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from django.test import tag
from hypothesis import given
from hypothesis import strategies as st

from streams.acs.auth import HandshakeAuth, Reason, Refused, Unauthenticated, Undecided
from streams.acs.bearer import LEEWAY_SECONDS, MAX_HEADER_BYTES
from streams.acs.jwks import KeySet, from_url
from tests.streams.handshakes import SECRET, HandshakeCase
from tests.streams.tokens import (
    AUDIENCE,
    KEY_ID,
    handmade,
    key_server,
    key_set,
    private_key,
    public_pem,
    scope,
    token,
)


@tag("once")
class JwtTests(HandshakeCase):
    def setUp(self) -> None:
        self.fetches = 0
        self.auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(self.fetch))

    def fetch(self) -> bytes:
        self.fetches += 1
        return key_set(KEY_ID)

    async def test_acs_is_admitted(self) -> None:
        await self.assert_admitted(scope(bearer=token()))

    async def test_the_scheme_is_case_insensitive(self) -> None:
        handshake = scope()
        handshake["headers"].append((b"authorization", b"bearer  " + token().encode() + b" "))
        await self.assert_admitted(handshake)

    async def test_the_resource_id_may_be_configured_in_capitals(self) -> None:
        auth = HandshakeAuth("jwt", audience=AUDIENCE.upper(), keys=KeySet(self.fetch))
        await self.assert_admitted(scope(bearer=token()), auth)

    async def test_the_query_string_is_ignored(self) -> None:
        await self.assert_admitted(scope(bearer=token(), query=b"call=1&token=%ff"))

    async def test_a_token_without_nbf_is_admitted(self) -> None:
        await self.assert_admitted(scope(bearer=token(without="nbf")))

    async def test_small_clock_differences_are_tolerated(self) -> None:
        await self.assert_admitted(scope(bearer=token(exp=int(time.time() - LEEWAY_SECONDS / 2))))
        await self.assert_admitted(scope(bearer=token(nbf=int(time.time() + LEEWAY_SECONDS / 2))))

    async def test_an_expired_token_is_refused(self) -> None:
        await self.assert_refused(
            Reason.EXPIRED, scope(bearer=token(exp=int(time.time() - LEEWAY_SECONDS - 5)))
        )

    async def test_a_token_not_valid_yet_is_refused(self) -> None:
        later = int(time.time() + LEEWAY_SECONDS + 60)
        await self.assert_refused(Reason.NOT_YET_VALID, scope(bearer=token(nbf=later)))
        await self.assert_refused(Reason.NOT_YET_VALID, scope(bearer=token(iat=later)))

    async def test_another_issuer_is_refused(self) -> None:
        await self.assert_refused(
            Reason.WRONG_ISSUER, scope(bearer=token(iss="https://example.com"))
        )

    async def test_a_token_for_another_resource_is_refused(self) -> None:
        await self.assert_refused(
            Reason.WRONG_AUDIENCE, scope(bearer=token(aud="another-resource"))
        )

    async def test_a_token_without_exp_iss_or_aud_is_refused(self) -> None:
        for claim in ("exp", "iss", "aud"):
            with self.subTest(claim):
                await self.assert_refused(Reason.MISSING_CLAIM, scope(bearer=token(without=claim)))

    async def test_claims_of_the_wrong_type_are_refused(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"exp": "soon"},
            {"exp": [1]},
            {"exp": float("inf")},
            {"nbf": {}},
            {"iat": "x"},
        ]
        for claims in wrong:
            with self.subTest(claims):
                await self.assert_refused(
                    Reason.MALFORMED, scope(bearer=token(**claims)), Unauthenticated
                )
        await self.assert_refused(Reason.WRONG_AUDIENCE, scope(bearer=token(aud={"a": 1})))
        await self.assert_refused(Reason.WRONG_ISSUER, scope(bearer=signed_by_hand({"iss": 5})))

    async def test_hs256_signed_with_the_public_key_is_refused(self) -> None:
        forged = hmac_signed_with_public_key()
        await self.assert_refused(Reason.WRONG_ALGORITHM, scope(bearer=forged))
        self.assertEqual(self.fetches, 0)

    async def test_a_token_without_a_signature_is_refused(self) -> None:
        claims = jwt.decode(token(), options={"verify_signature": False})
        for algorithm in ("none", "None", "", None, ["RS256"], 5):
            with self.subTest(algorithm):
                forged = handmade({"alg": algorithm, "kid": KEY_ID}, claims)
                await self.assert_refused(Reason.WRONG_ALGORITHM, scope(bearer=forged))
        unsigned = handmade({"alg": "RS256", "kid": KEY_ID}, claims)
        await self.assert_refused(Reason.WRONG_SIGNATURE, scope(bearer=unsigned))

    async def test_another_signer_with_a_known_key_id_is_refused(self) -> None:
        forged = token(key="stranger", header={"kid": KEY_ID})
        await self.assert_refused(Reason.WRONG_SIGNATURE, scope(bearer=forged))

    async def test_a_changed_payload_is_refused(self) -> None:
        header, payload, signature = token().split(".")
        other = token(aud="another-resource").split(".")[1]
        self.assertNotEqual(payload, other)
        await self.assert_refused(
            Reason.WRONG_SIGNATURE, scope(bearer=f"{header}.{other}.{signature}")
        )

    async def test_a_token_with_its_own_key_url_is_refused(self) -> None:
        forged = token(
            key="stranger", header={"kid": "stranger", "jku": "https://example.com/keys"}
        )
        await self.assert_refused(Reason.UNKNOWN_KEY, scope(bearer=forged))

    async def test_a_token_without_a_key_id_is_refused(self) -> None:
        forged = handmade({"alg": "RS256"}, {})
        await self.assert_refused(Reason.NO_KEY_ID, scope(bearer=forged))

    async def test_no_header_is_refused(self) -> None:
        await self.assert_refused(Reason.NO_HEADER, scope(), Unauthenticated)

    async def test_two_headers_are_refused(self) -> None:
        handshake = scope(bearer=token())
        handshake["headers"].append((b"authorization", b"Bearer x"))
        await self.assert_refused(Reason.SEVERAL_HEADERS, handshake, Unauthenticated)

    async def test_another_scheme_is_refused(self) -> None:
        for header in (b"Basic YTpi", b"", b"Bearer", b"Bearer ", b"BearerX y"):
            handshake = {**scope(), "headers": [(b"authorization", header)]}
            with self.subTest(header):
                await self.assert_refused(Reason.NOT_BEARER, handshake, Unauthenticated)

    async def test_a_header_that_is_too_long_is_not_parsed(self) -> None:
        handshake = scope(bearer=b"x" * MAX_HEADER_BYTES)
        await self.assert_refused(Reason.HEADER_TOO_LONG, handshake, Unauthenticated)

    async def test_malformed_tokens_are_refused_without_fetching_keys(self) -> None:
        deep = handmade_raw(b"[" * 5000)
        for wrong in (
            b"x",
            b"a.b.c",
            b"...",
            b"\xff\xfe.\x00",
            b"e30.e30.",
            "ü.ü.ü".encode(),
            deep,
        ):
            with self.subTest(wrong[:20]), self.assertRaises(Refused):
                await self.auth.admit(scope(bearer=wrong))
        self.assertEqual(self.fetches, 0)

    @given(st.binary(max_size=300), st.binary(max_size=60))
    def test_arbitrary_bytes_are_refused_without_another_error(
        self, header: bytes, query: bytes
    ) -> None:
        auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(key_set))
        for value in (header, b"Bearer " + header):
            handshake = {
                "type": "websocket",
                "headers": [(b"authorization", value)],
                "query_string": query,
            }
            with self.assertRaises(Refused):
                asyncio.run(auth.admit(handshake))

    @given(
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists),
        st.text(),
        st.binary(),
    )
    def test_arbitrary_token_headers_are_refused_without_another_error(
        self, member: object, key_id: str, signature: bytes
    ) -> None:
        auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(key_set))
        headers: list[Any] = [
            member,
            {"alg": "RS256", "kid": member},
            {"alg": "RS256", "kid": key_id},
        ]
        headers += [
            {"alg": "RS256", "kid": KEY_ID, "crit": member},
            {"alg": "RS256", "kid": KEY_ID, "b64": member},
        ]
        for header in headers:
            with self.assertRaises(Refused):
                asyncio.run(auth.admit(scope(bearer=handmade(header, {}, signature))))

    async def test_a_configured_stream_token_is_required_as_well(self) -> None:
        auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(self.fetch), stream_token=SECRET)
        await self.assert_refused(
            Reason.NO_STREAM_TOKEN, scope(bearer=token()), Unauthenticated, auth
        )
        await self.assert_refused(
            Reason.WRONG_STREAM_TOKEN, scope(bearer=token(), query=b"token=x"), auth=auth
        )
        self.assertEqual(self.fetches, 0)
        right = b"token=" + SECRET.encode()
        await self.assert_refused(Reason.NO_HEADER, scope(query=right), Unauthenticated, auth)
        await self.assert_admitted(scope(bearer=token(), query=right), auth)


class KeyServerTests(HandshakeCase):
    """The same checks with a real key server."""

    async def test_an_unknown_key_is_refused_after_one_more_request(self) -> None:
        with key_server() as server:
            # every reading of the clock advances it by 20 s
            keys = KeySet(from_url(server.url), clock=iter(range(0, 9999, 20)).__next__)
            auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=keys)
            await self.assert_admitted(scope(bearer=token()), auth)
            self.assertEqual(server.requests, 1)
            await self.assert_refused(
                Reason.UNKNOWN_KEY, scope(bearer=token(key="stranger")), auth=auth
            )
            self.assertEqual(server.requests, 2)

    async def test_unknown_key_ids_do_not_flood_the_key_server(self) -> None:
        with key_server() as server:
            auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(from_url(server.url)))
            for number in range(20):
                forged = token(key="stranger", header={"kid": f"stranger-{number}"})
                await self.assert_refused(Reason.UNKNOWN_KEY, scope(bearer=forged), auth=auth)
            self.assertEqual(server.requests, 1)

    async def test_an_unreachable_key_server_leaves_it_undecided(self) -> None:
        with key_server() as server:
            url = server.url
        auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(from_url(url)))
        await self.assert_refused(Reason.NO_KEYS, scope(bearer=token()), Undecided, auth)

    async def test_keys_fetched_ahead_need_no_key_server_at_the_first_call(self) -> None:
        with key_server() as server:
            auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(from_url(server.url)))
            await auth.warm()
        await self.assert_admitted(scope(bearer=token()), auth)

    async def test_a_slow_key_server_delays_no_other_handshake(self) -> None:
        with key_server() as server:
            server.open.clear()
            auth = HandshakeAuth("jwt", audience=AUDIENCE, keys=KeySet(from_url(server.url)))
            waiting = asyncio.ensure_future(auth.admit(scope(bearer=token())))
            await asyncio.to_thread(server.asked.wait, 5)
            await self.assert_refused(Reason.NO_HEADER, scope(), Unauthenticated, auth)
            self.assertFalse(waiting.done())
            server.open.set()
            await waiting


def signed_by_hand(claims: dict[str, Any]) -> str:
    """Returns a token signed with the right key; by hand, because PyJWT does not encode claims of
    the wrong type.
    """
    now = int(time.time())
    unsigned = handmade(
        {"alg": "RS256", "kid": KEY_ID}, {"aud": AUDIENCE, "exp": now + 60, **claims}
    ).rpartition(".")[0]
    signature = private_key().sign(unsigned.encode(), PKCS1v15(), SHA256())
    return f"{unsigned}.{handmade('', '', signature).rpartition('.')[2]}"


def hmac_signed_with_public_key() -> str:
    """Returns the classic confusion, the public key used as an HS256 secret; by hand, because PyJWT
    refuses.
    """
    claims = jwt.decode(token(), options={"verify_signature": False})
    unsigned = handmade({"alg": "HS256", "kid": KEY_ID}, claims).rpartition(".")[0]
    signature = hmac.new(public_pem(), unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{handmade('', '', signature).rpartition('.')[2]}"


def handmade_raw(header: bytes) -> bytes:
    encoded = base64.urlsafe_b64encode(header).rstrip(b"=")
    return encoded + b"." + encoded + b"." + base64.urlsafe_b64encode(json.dumps({}).encode())
