"""Authentication of media sockets, from the handshake alone, before the socket is accepted.

`ACS_AUTH=jwt` checks ACS's own token (RS256, issuer, audience, expiry), and the stream token as
well if one is configured; `token` checks only the stream token in the query string; `off` accepts
every handshake. Neither token is ever logged. In every mode, a call connection id that begins as
those of canary calls needs the token of that canary call (`calls.canary.token`) instead of ACS's:
nobody hides a call by its id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast, get_args

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from calls.canary import token as canary_token
from calls.identity import is_canary
from calls.lockout import client_of_socket
from streams.acs.bearer import ISSUER, bearer_token, check_claims, has_token, key_id_of
from streams.acs.jwks import KeySet, KeysUnavailable, UnknownKey, from_url
from streams.acs.refusals import (
    Forbidden,
    Reason,
    Refused,
    Unauthenticated,
    Undecided,
    WebhookReason,
)
from streams.acs.stored_keys import StoredKeys
from streams.checks import check_auth
from streams.ingest.loop_limiter import LoopLimiter, Overloaded
from streams.log_limiter import LogLimiter

log = structlog.get_logger(__name__)

__all__ = [
    "Forbidden",
    "HandshakeAuth",
    "Reason",
    "Refused",
    "Unauthenticated",
    "Undecided",
]

CONNECTION_ID = b"x-ms-call-connection-id"
MAX_WAITING = 1000
"""Handshakes queued at once; further ones are refused."""

WAIT_SECONDS = 4.0
"""Longest time in that queue. Daphne allows a handshake 5 s."""

Mode = Literal["jwt", "token", "off"]


class HandshakeAuth:
    """Authenticates handshakes. One per process, because it holds the key set; event loops may
    share it.

    Mode "jwt" needs `audience` and `keys`; mode "token" needs `stream_token`.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        audience: str = "",
        stream_token: str = "",
        previous_token: str = "",
        keys: KeySet | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        assert mode in get_args(Mode), "an unknown mode would check nothing"
        assert mode != "jwt" or (audience and keys is not None), (
            "a JWT is checked against an audience and keys"
        )
        assert mode != "token" or stream_token, "an empty token would let everyone in"
        self._mode = mode
        self._audience = audience
        # while the address is changed in the calling application, both tokens are right
        self._stream_tokens = [one.encode() for one in (stream_token, previous_token) if one]
        self._keys = keys
        self._refusals = RefusalLog(clock)
        self._handshake_limiter = LoopLimiter(max_waiting=MAX_WAITING, max_seconds=WAIT_SECONDS)
        self._stranger_limiter = LoopLimiter(max_waiting=MAX_WAITING, max_seconds=WAIT_SECONDS)
        self._close_limiter = LoopLimiter()

    @classmethod
    def from_settings(cls) -> HandshakeAuth:
        """Builds the authentication from the settings; raises ImproperlyConfigured if they would
        accept anyone.

        A server that is started directly runs no system checks, so the checks of access run here.
        """
        if errors := [found.msg for found in check_auth() if found.is_serious()]:
            raise ImproperlyConfigured(" ".join(errors))
        mode = cast("Mode", settings.ACS_AUTH)  # settings.py accepts no other value
        url = settings.ACS_JWKS_URL
        keys = None
        if mode == "jwt":
            keys = KeySet(from_url(url), StoredKeys(Path(settings.DATA_DIR), url))
        return cls(
            mode,
            audience=settings.ACS_RESOURCE_ID,
            stream_token=settings.ACS_STREAM_TOKEN,
            previous_token=settings.ACS_STREAM_TOKEN_PREVIOUS,
            keys=keys,
        )

    @property
    def keys(self) -> KeySet | None:
        """The keys of ACS, which the webhook of callbacks shares; None unless mode "jwt"."""
        return self._keys

    async def warm(self) -> None:
        """Fetches the keys before the first call, which would otherwise wait for them. Never
        raises.
        """
        if self._keys is not None:
            await self._keys.renew()

    async def check_keys(self) -> None:
        """Raises `KeysUnavailable`, with the reason, if there is no key: then every call is
        refused.
        """
        if self._keys is not None:
            await self._keys.check()

    async def admit(self, scope: Mapping[str, Any]) -> None:
        """Returns if the handshake `scope` (ASGI, type "websocket") may be accepted; else raises
        `Refused`.
        """
        try:
            key_id = await self._check_cheaply(scope)
            await self._check_in_turn(scope, key_id)
        except Refused as refused:
            self._refusals.write(refused.reason, scope)
            raise

    async def _check_cheaply(self, scope: Mapping[str, Any]) -> str:
        """Checks what costs little; returns the id of the key that signed ACS's JWT, "" without
        one.

        Strangers wait in a queue of their own, so that a burst of them delays no right handshake
        and no audio, and they cause no requests to the key server.
        """
        try:
            if self._mode != "off" and self._stream_tokens:
                check_stream_token(scope.get("query_string", b""), *self._stream_tokens)
            if canary_id := canary_id_of(scope):
                check_canary_token(scope["headers"], canary_id)
                return ""
            return key_id_of(bearer_token(scope.get("headers", ()))) if self._mode == "jwt" else ""
        except Refused:
            with suppress(Overloaded):
                await self._stranger_limiter.acquire()
            raise

    async def _check_in_turn(self, scope: Mapping[str, Any], key_id: str) -> None:
        """Waits for this handshake's turn, and checks the signature and the claims of its JWT."""
        try:
            await self._handshake_limiter.acquire()
            if key_id:
                assert self._keys is not None, "mode jwt has a key set"
                key = await self._keys.find(key_id)
                token = bearer_token(scope.get("headers", ()))
                check_claims(token, key, audience=self._audience, issuers=[ISSUER])
        except Overloaded:
            raise Undecided(Reason.OVERLOADED) from None
        except UnknownKey:
            raise Forbidden(Reason.UNKNOWN_KEY) from None
        except KeysUnavailable:
            raise Undecided(Reason.NO_KEYS) from None

    async def wait_to_close(self) -> None:
        """Waits for this socket's turn to be closed: many sockets may close at once, as they may
        open.
        """
        await self._close_limiter.acquire()


def check_stream_token(query_string: bytes, *expected: bytes) -> None:
    """Raises `Refused` unless the query string contains `token` exactly once, with one of the
    `expected` values.
    """
    is_right = has_token(query_string, *expected)
    if is_right is None:
        raise Unauthenticated(Reason.NO_STREAM_TOKEN)
    if not is_right:
        raise Forbidden(Reason.WRONG_STREAM_TOKEN)


def canary_id_of(scope: Mapping[str, Any]) -> str:
    """Returns the call connection id of a handshake that names a canary call, "" of any other."""
    for name, value in scope.get("headers", ()):
        if name.lower() == CONNECTION_ID:  # the first one counts, as for the consumer
            connection_id = str(value, "latin-1").strip()
            return connection_id if is_canary(connection_id) else ""
    return ""


def check_canary_token(headers: Any, canary_id: str) -> None:
    """Raises `Refused` unless the bearer token is ours, for this canary call."""
    try:
        token = bearer_token(headers)
    except Unauthenticated:
        raise Unauthenticated(Reason.WRONG_CANARY_TOKEN) from None
    if not canary_token.is_valid(token, canary_id):
        raise Forbidden(Reason.WRONG_CANARY_TOKEN)


class RefusalLog:
    """Logs refusals with the address of the client, at most one line per reason and ten seconds;
    `more` counts the suppressed ones.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._limiter = LogLimiter(clock)

    def write(self, reason: Reason | WebhookReason, scope: Mapping[str, Any]) -> None:
        more = self._limiter.take(reason.value)
        if more is not None:
            address = client_of_socket(scope) or ""
            log.warning("stream refused", reason=reason.value, address=address, more=more)
