"""One POST to another system: a checked address, bounded time and size, no redirects.

The host is resolved once, all its addresses are checked, and the connection is made to one of the
checked addresses, so that a name cannot lead elsewhere in between (DNS rebinding). Proxies in the
environment are ignored.

    DeliveryError           there was no answer
    └── AddressRefused      the address is not allowed: nothing was sent
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import string
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from django.conf import settings

from calls.notifications.webhooks.addresses import is_public

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
MAX_ANSWER_BYTES = 4096
"""Bytes of an answer's body that are read; the rest is not asked for."""

DEFAULT_PORTS = {"https": 443, "http": 80}


class DeliveryError(Exception):
    """There was no answer. The text says why, without the address."""


class AddressRefused(DeliveryError):
    """The address is not allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: its first `MAX_ANSWER_BYTES`, or fewer if the rest did not come in time."""

    status: int
    retry_after: str
    body: bytes


def check_url(url: str) -> SplitResult:
    """Returns the parts of an address for webhooks. Raises `AddressRefused`."""
    if any(character <= " " or character == "\x7f" for character in url):
        raise AddressRefused("The address must have no spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port  # a property that may raise
    except ValueError as error:
        raise AddressRefused("The address cannot be read.") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise AddressRefused("The address must begin with https:// and a host.")
    if parts.scheme == "http" and not settings.WEBHOOKS_TO_PRIVATE_ADDRESSES:
        raise AddressRefused("The address must begin with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressRefused("The address must have no user, password or fragment.")
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Sends a request and returns the answer of any status. Raises `DeliveryError`."""
    parts = check_url(url)
    deadline = time.monotonic() + TOTAL_SECONDS
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    connection = _Connection(parts, deadline)
    try:
        connection.request("POST", quote(target, safe=string.punctuation), body, dict(headers))
        response = connection.getresponse()
        retry_after = response.headers.get("Retry-After", "")
        return Answer(response.status, retry_after, _beginning_of(response))
    except TimeoutError as error:
        raise DeliveryError(f"There was no answer within {TOTAL_SECONDS:g} s.") from error
    except ssl.SSLError as error:
        raise DeliveryError(f"TLS failed: {error.reason or type(error).__name__}") from error
    except OSError as error:
        raise DeliveryError(f"The connection failed: {_cause_of(error)}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise DeliveryError(f"The answer is not HTTP: {type(error).__name__}") from error
    finally:
        connection.end()


def _beginning_of(response: http.client.HTTPResponse) -> bytes:
    """Returns the beginning of a body. The status counts, so a body that breaks off is no error."""
    content = b""
    with suppress(OSError, http.client.HTTPException):
        while len(content) < MAX_ANSWER_BYTES:
            part = response.read1(MAX_ANSWER_BYTES - len(content))
            if not part:
                break
            content += part
    return content


class _Connection(http.client.HTTPConnection):
    """A connection to the address that has been checked. `Host` and SNI are those of the URL."""

    def __init__(self, parts: SplitResult, deadline: float) -> None:
        assert parts.hostname, "it has been checked"
        super().__init__(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
        self.default_port = DEFAULT_PORTS[parts.scheme]
        self._is_secure = parts.scheme == "https"
        self._deadline = deadline
        self._plain: socket.socket | None = None

    def connect(self) -> None:
        plain = _connect(_resolve(self.host, self.port), self._deadline)
        try:
            if self._is_secure:
                plain.settimeout(_left(self._deadline))
                plain = _tls().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        self._plain = plain
        self.sock: Any = _TimedSocket(plain, self._deadline)

    def end(self) -> None:
        self.close()
        if self._plain:
            self._plain.close()


def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    """Returns family and address of each address of a host. Raises `DeliveryError`, and
    `AddressRefused` if one of them is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryError("The host name cannot be resolved.") from error
    addresses = [(int(family), address) for family, _type, _protocol, _name, address in found]
    if not settings.WEBHOOKS_TO_PRIVATE_ADDRESSES:
        for _family, address in addresses:
            if not is_public(str(address[0])):
                raise AddressRefused("The host has an address that is not public.")
    return addresses


def _connect(addresses: list[tuple[int, Any]], deadline: float) -> socket.socket:
    """Connects to the first address that accepts."""
    failed: OSError = OSError("no address")
    until = min(deadline, time.monotonic() + CONNECT_SECONDS)
    for tried, (family, address) in enumerate(addresses):
        one = socket.socket(family, socket.SOCK_STREAM)
        try:
            one.settimeout(_left(until) / (len(addresses) - tried))
            one.connect(address)
        except OSError as error:
            one.close()
            failed = error
        else:
            return one
    if isinstance(failed, TimeoutError):
        raise DeliveryError(f"There was no connection within {CONNECT_SECONDS:g} s.") from failed
    raise failed


def _tls() -> ssl.SSLContext:
    """Trusts the authorities of the system, or those in `SSL_CERT_FILE`."""
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    """Returns the seconds left. Raises `TimeoutError`."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _TimedSocket:
    """The part of a socket that `http.client` uses, with one deadline for everything: a time-out of
    each `recv` would let a receiver that sends a byte now and then hold a thread for hours.
    """

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self._plain = plain
        self._deadline = deadline

    def sendall(self, content: bytes) -> None:
        self._plain.settimeout(_left(self._deadline))
        self._plain.sendall(content)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._plain, self._deadline))

    def close(self) -> None:
        """Leaves it open: `http.client` closes it before it reads the last answer."""


class _TimedReader(io.RawIOBase):
    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self._plain = plain
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._plain.settimeout(_left(self._deadline))
        return self._plain.recv_into(buffer)


def _cause_of(error: OSError) -> str:
    return error.strerror or type(error).__name__
