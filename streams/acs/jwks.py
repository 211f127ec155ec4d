"""The public keys that ACS signs its tokens with: fetched when needed, kept, renewed, never awaited
twice.

    NoKey
     ├── UnknownKey        the key set is known and does not hold this key
     └── KeysUnavailable   nobody can tell: the key server does not answer

The key server is asked from a thread of its own, by one request at a time that all waiting
handshakes share, and at most once in `MIN_INTERVAL_SECONDS`: key ids are chosen by whoever
connects, and a stranger must not be able to make us hammer Microsoft. A set that cannot be renewed
stays in use, because a call that is not recorded is the greater damage.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from http.client import HTTPException, HTTPMessage
from threading import Lock
from typing import IO, Any
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from streams.daemon_thread import in_daemon_thread

log = structlog.get_logger(__name__)

LIFETIME_SECONDS = 3600.0
"""How long a set is used without asking again; so long a key that was withdrawn is still
accepted.
"""

MIN_INTERVAL_SECONDS = 10.0
"""Least time from one request to the next, whatever comes in."""

PATIENCE_SECONDS = 5.0
"""How long a handshake waits for the key server."""

MAX_BYTES = 256 * 1024
"""Largest answer that is read. Microsoft's has about 8 kB."""

MAX_KEYS = 100
MIN_KEY_BITS = 2048  # RFC 7518, section 3.3

Fetch = Callable[[], bytes]
"""Blocking; gives the JSON Web Key Set. May raise OSError, HTTPException, ValueError."""


class NoKey(Exception):
    """No key for a token."""


class UnknownKey(NoKey):
    """The key set does not hold the key that the token names."""


class KeysUnavailable(NoKey):
    """The key server has not answered, and what is known does not hold the key."""


class KeySet:
    """The keys behind `fetch`, by key id. One per process; may be used from several event loops."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._patience = patience_seconds
        self._lock = (
            Lock()
        )  # around the four below: written by the fetching thread, read by event loops
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._asked_at: float | None = None
        self._answered_at: float | None = None
        self._fetching: Future[None] | None = None

    async def find(self, key_id: str) -> RSAPublicKey:
        """The key of that id. Waits for the key server at most twice `patience_seconds`; raises
        `NoKey`.
        """
        if self._is_old():
            await self.renew()
        if key_id not in self._keys:
            await self.renew()
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if self._is_current():
            raise UnknownKey
        raise KeysUnavailable

    async def renew(self) -> None:
        """Asks the key server, or waits for the request that is under way; does nothing if it was
        asked just now.
        """
        fetching = self._begin()
        if fetching is not None:  # `wait` leaves the request alone when this handshake is cancelled
            await asyncio.wait({asyncio.wrap_future(fetching)}, timeout=self._patience)

    def _begin(self) -> Future[None] | None:
        with self._lock:
            if self._fetching is not None:
                return self._fetching
            now = self._clock()
            if self._asked_at is not None and now - self._asked_at < MIN_INTERVAL_SECONDS:
                return None
            self._asked_at = now
            self._fetching = in_daemon_thread(self._refresh, name="acs-key-set")
            return self._fetching

    def _refresh(self) -> None:
        try:
            keys = parse_key_set(self._fetch())
        except Exception as error:
            unforeseen = not isinstance(error, (OSError, HTTPException, ValueError))
            kind = type(error).__name__
            log.warning(
                "key set not renewed", reason=kind, keys_in_use=len(self._keys), exc_info=unforeseen
            )
            with self._lock:
                self._fetching = None
            return
        with self._lock:
            self._keys, self._answered_at, self._fetching = keys, self._asked_at, None

    def _is_old(self) -> bool:
        return self._answered_at is None or self._clock() - self._answered_at >= LIFETIME_SECONDS

    def _is_current(self) -> bool:
        """The newest request was answered, so what is missing from the set does not exist."""
        return self._answered_at is not None and self._answered_at == self._asked_at


def parse_key_set(document: bytes) -> dict[str, RSAPublicKey]:
    """The RSA signing keys of a JSON Web Key Set (RFC 7517, section 5) by id; raises ValueError if
    there are none.

    Keys of other kinds, without an id, or too short are left out.
    """
    try:
        members = json.loads(document)
    except RecursionError as error:
        raise ValueError("the key set is nested too deeply") from error
    entries = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the key set has no list of keys")  # noqa: TRY004 - a wrong document, not a wrong argument
    keys = {
        entry["kid"]: key
        for entry in entries[:MAX_KEYS]
        if (key := _signing_key(entry)) is not None
    }
    if not keys:
        raise ValueError("the key set holds no usable RSA key")
    return keys


def _signing_key(entry: Any) -> RSAPublicKey | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
        return None
    if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
        return None
    try:  # only the public numbers: whatever else the entry says is not ours to follow
        key = PyJWK({"kty": "RSA", "n": entry.get("n"), "e": entry.get("e")}, "RS256").key
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= MIN_KEY_BITS else None


def from_url(url: str, *, timeout_seconds: float = PATIENCE_SECONDS) -> Fetch:
    """A `Fetch` that asks `url` (https, or http for a first look); redirects are not followed."""
    if urlsplit(url).scheme not in {"https", "http"}:
        raise ValueError("the key set's address must start with https://")
    opener = urllib.request.build_opener(_NoRedirect)

    def fetch() -> bytes:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked above
        with opener.open(request, timeout=timeout_seconds) as answer:
            return _read(answer, time.monotonic() + timeout_seconds)

    return fetch


def _read(answer: Any, deadline: float) -> bytes:
    """The whole body; a timeout of the socket alone would let a server drip one byte at a time for
    ever.
    """
    body = bytearray()
    while piece := answer.read1(64 * 1024):
        body += piece
        if len(body) > MAX_BYTES:
            raise ValueError("the key set is too large")
        if time.monotonic() > deadline:
            raise TimeoutError("the key server is too slow")
    return bytes(body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the configured address or not at all."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None
