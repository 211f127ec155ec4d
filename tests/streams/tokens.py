"""Tokens as ACS signs them, and invalid ones; a key server that counts, stalls and fails on
request.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from streams.acs.bearer import ISSUER

AUDIENCE = "3d20e1de-58ee-4f09-ae4b-1a7d3d1c0a11"
KEY_ID = "key-1"


def private_key(name: str = KEY_ID, bits: int = 2048) -> RSAPrivateKey:
    """Returns one key per name for the whole run: generating one takes a tenth of a second."""
    return _private_key(name, bits)


@cache
def _private_key(_name: str, bits: int) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def public_jwk(name: str = KEY_ID, bits: int = 2048, **members: Any) -> dict[str, Any]:
    entry = RSAAlgorithm.to_jwk(private_key(name, bits).public_key(), as_dict=True)
    return {**entry, "kid": name, "use": "sig", **members}


def public_pem(name: str = KEY_ID) -> bytes:
    return (
        private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def key_set(*names: str) -> bytes:
    return json.dumps({"keys": [public_jwk(name) for name in names or (KEY_ID,)]}).encode()


def token(
    *, key: str = KEY_ID, header: dict[str, Any] | None = None, without: str = "", **claims: Any
) -> str:
    """Returns a token as ACS sends it, with `claims` changed and `without` removed; `header`
    changes the header.
    """
    now = time.time()
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + 86400,
        **claims,
    }
    whole.pop(without, None)
    return jwt.encode(
        whole, private_key(key), algorithm="RS256", headers={"kid": key, **(header or {})}
    )


def handmade(header: Any, claims: Any, signature: bytes = b"") -> str:
    """Returns a token that no library would encode."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def scope(*, bearer: str | bytes | None = None, query: bytes = b"") -> dict[str, Any]:
    """Returns the handshake of ACS as an ASGI scope; `bearer` is the token."""
    headers = [(b"host", b"media.example.com"), (b"x-ms-call-connection-id", b"411f0b00-1")]
    if bearer is not None:
        headers.append(
            (
                b"authorization",
                b"Bearer " + (bearer.encode() if isinstance(bearer, str) else bearer),
            )
        )
    return {"type": "websocket", "path": "/ws/acs/media", "headers": headers, "query_string": query}


class KeyServer(ThreadingHTTPServer):
    """Responds with `status` and `document` once `open` is set; counts `requests`."""

    daemon_threads = True

    def __init__(self, document: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.document = document
        self.status = 200
        self.location = ""
        self.requests = 0
        self.asked = Event()
        self.open = Event()
        self.open.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that disconnect early: they are part of the tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/calling/keys"


class _Answer(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.asked.set()
        self.server.open.wait(10)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.document)))
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Prints no request lines during a test run."""


@contextmanager
def key_server(document: bytes | None = None) -> Iterator[KeyServer]:
    server = KeyServer(key_set() if document is None else document)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
