"""The public keys that verify ACS's tokens: fetched on demand, cached, renewed.

    NoKey
     ├── UnknownKey        the key set was fetched and does not contain the key
     └── KeysUnavailable   the key server does not respond, so the key may exist or not

Requests run in a thread of their own, one at a time, shared by all waiting handshakes, and at most
one per `MIN_INTERVAL_SECONDS`: clients choose the key ids they send, and a stranger must not be
able to make us flood Microsoft with requests. A key set that cannot be renewed stays in use,
because an unrecorded call is the greater damage; so a copy on disk is used from the start.
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
from typing import IO, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from streams.acs.stored_keys import Stored
from streams.daemon_thread import in_daemon_thread

log = structlog.get_logger(__name__)

LIFETIME_SECONDS = 3600.0
"""Age at which a key set is renewed; a withdrawn key is accepted for up to this time."""

MIN_INTERVAL_SECONDS = 10.0
"""Shortest time between two requests to the key server."""

PATIENCE_SECONDS = 5.0
"""Longest wait of a handshake for one request to the key server."""
KNOWN_PATIENCE_SECONDS = 1.0
"""The same if its key is known, but old: the server may be unreachable for long, and Daphne allows
a handshake 5 s.
"""

MAX_BYTES = 256 * 1024
"""Largest response that is accepted. Microsoft's has about 8 kB."""

MAX_KEYS = 100
MIN_KEY_BITS = 2048  # RFC 7518, section 3.3

Fetch = Callable[[], bytes]
"""Blocking; returns a JSON Web Key Set. May raise OSError, HTTPException, ValueError."""


class KeyStore(Protocol):
    """A copy of the key set that outlives the process: `streams.acs.stored_keys`."""

    def read(self) -> Stored | None: ...

    def write(self, document: bytes) -> None: ...


class NoKey(Exception):
    """No key to verify a token with."""


class UnknownKey(NoKey):
    """The key set does not contain the key named in the token."""


class KeysUnavailable(NoKey):
    """The key server has not responded, and the cached key set does not contain the key."""


class KeySet:
    """Caches the keys returned by `fetch`, by key id. One per process; several event loops may use
    it.
    """

    def __init__(
        self,
        fetch: Fetch,
        store: KeyStore | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._clock = clock
        self._patience = patience_seconds
        # guards the four fields below: written by the fetching thread, read by event loops
        self._lock = Lock()
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._asked_at: float | None = None
        self._answered_at: float | None = None
        self._fetching: Future[None] | None = None
        self._failure = "not fetched yet"
        self._load()

    async def check(self) -> None:
        """Renews the keys if it is time to; raises `KeysUnavailable`, with the reason, if there are
        none: then every call is refused.
        """
        if self._is_due:
            await self.renew()
        if not self._keys:
            raise KeysUnavailable(self._failure)

    async def find(self, key_id: str) -> RSAPublicKey:
        """Returns the key with that id, after at most two waits of `patience_seconds`. Raises
        `NoKey`.
        """
        if self._is_due:
            is_known = key_id in self._keys
            await self.renew(KNOWN_PATIENCE_SECONDS if is_known else None)
        if key_id not in self._keys:
            await self.renew()
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if self._answered_at is not None and self._answered_at == self._asked_at:
            raise UnknownKey  # the latest request was answered: the key does not exist
        raise KeysUnavailable(self._failure)

    @property
    def _is_due(self) -> bool:
        answered_at = self._answered_at
        return answered_at is None or self._clock() - answered_at >= LIFETIME_SECONDS

    async def renew(self, patience_seconds: float | None = None) -> None:
        """Requests the key set, or joins the pending request; does nothing within
        `MIN_INTERVAL_SECONDS` of the last one.
        """
        with self._lock:
            if self._fetching is None:
                now = self._clock()
                if self._asked_at is not None and now - self._asked_at < MIN_INTERVAL_SECONDS:
                    return
                self._asked_at = now
                self._fetching = in_daemon_thread(self._refresh, name="acs-key-set")
            fetching = self._fetching
        # `wait` does not cancel the request with this handshake
        timeout = self._patience if patience_seconds is None else patience_seconds
        await asyncio.wait({asyncio.wrap_future(fetching)}, timeout=timeout)

    def _refresh(self) -> None:
        try:
            document = self._fetch()
            keys = parse_key_set(document)
        except Exception as error:
            unexpected = not isinstance(error, (OSError, HTTPException, ValueError))
            reason = reason_of(error)
            log.warning(
                "key set not renewed",
                reason=reason,
                keys_in_use=len(self._keys),
                exc_info=unexpected,
            )
            with self._lock:
                self._fetching, self._failure = None, reason
            return
        with self._lock:
            self._keys, self._answered_at, self._fetching = keys, self._asked_at, None
        if self._store:
            self._store.write(document)

    def _load(self) -> None:
        """Takes the stored keys. They are renewed as soon as possible, and used if they cannot."""
        stored = self._store.read() if self._store else None
        if stored is None:
            return
        try:
            self._keys = parse_key_set(stored.document)
        except ValueError:
            log.warning("stored key set unreadable", reason="no usable key")
            return
        log.info(
            "stored key set in use", keys=len(self._keys), age_seconds=round(stored.age_seconds)
        )


def reason_of(error: Exception) -> str:
    """Returns the kind of the failure, such as `ConnectionRefusedError` or `HTTP 500`, without
    addresses.
    """
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return type(error.reason).__name__
    return type(error).__name__


def parse_key_set(document: bytes) -> dict[str, RSAPublicKey]:
    """Returns the RSA signing keys of a JSON Web Key Set (RFC 7517, section 5) by key id.

    Skips keys of other types, without an id, or too short. Raises ValueError if none is left.
    """
    try:
        members = json.loads(document)
    except RecursionError as error:
        raise ValueError("the key set is nested too deeply") from error
    entries = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(entries, list):
        # the document is wrong, not an argument
        raise ValueError("the key set has no list of keys")  # noqa: TRY004
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
    try:  # only the public numbers: other members of the entry must have no effect
        key = PyJWK({"kty": "RSA", "n": entry.get("n"), "e": entry.get("e")}, "RS256").key
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= MIN_KEY_BITS else None


def from_url(url: str, *, timeout_seconds: float = PATIENCE_SECONDS) -> Fetch:
    """Returns a `Fetch` for `url` (https, or http for a first try); redirects are not followed."""
    if urlsplit(url).scheme not in {"https", "http"}:
        raise ValueError("the key set's address must start with https://")
    opener = urllib.request.build_opener(_NoRedirect)

    def fetch() -> bytes:
        # the address was checked above
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310
        with opener.open(request, timeout=timeout_seconds) as response:
            # with only a socket timeout a server could send one byte at a time for ever
            deadline = time.monotonic() + timeout_seconds
            body = bytearray()
            while part := response.read1(64 * 1024):
                body += part
                if len(body) > MAX_BYTES:
                    raise ValueError("the key set is too large")
                if time.monotonic() > deadline:
                    raise TimeoutError("the key server is too slow")
            return bytes(body)

    return fetch


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Rejects redirects: keys come from the configured URL or not at all."""

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
