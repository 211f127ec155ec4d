"""Login lock-out per (username, address) after failed attempts; django-axes counts them.

The counts are in the database, so they apply to all processes. The pair is locked, not the username
alone: otherwise anyone could lock operators out from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str | None:
    """Returns the browser's address; None if there is none (a Unix socket)."""
    headers = request.META
    return client_behind(headers.get("REMOTE_ADDR", ""), headers.get("HTTP_X_FORWARDED_FOR", ""))


def client_of_socket(scope: Mapping[str, Any]) -> str | None:
    """Returns the address of a client from the handshake of its WebSocket (ASGI)."""
    peer = (scope.get("client") or ("",))[0]
    values = [value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"]
    return client_behind(str(peer or ""), b",".join(values).decode("latin-1"))


def client_behind(connected: str, forwarded: str) -> str | None:
    """Returns the address of the client of a connection, from `X-Forwarded-For` as well.

    X-Forwarded-For is read if the connection comes from a trusted proxy (`TRUSTED_PROXIES`): from
    its end, until an address is not a trusted proxy's. Anybody else could forge it, and so escape
    every count, or lock out another address.
    """
    address = _address_in(connected)
    for claimed in reversed(forwarded.split(",")):
        if address is None or not _is_trusted(address):
            break
        if (before := _address_in(claimed)) is None:
            break
        address = before
    return None if address is None else str(address)


def _address_in(text: str) -> Address | None:
    """Returns the address in a text, without the port that some load balancers add."""
    text = text.strip()
    for candidate in (text, text.rpartition(":")[0].strip("[]")):
        with suppress(ValueError):
            return ip_address(candidate.partition("%")[0])  # Postgres has no IPv6 zones
    return None


def _is_trusted(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def refusal(request: HttpRequest, _response: Any, _credentials: Any) -> HttpResponse:
    """Returns the response to a login while it is locked, for our login page and the admin's."""
    seconds = settings.AXES_COOLOFF_TIME.total_seconds()
    response = render(
        request, "pages/locked.html", {"minutes": seconds / 60}, status=HTTPStatus.TOO_MANY_REQUESTS
    )
    response["Retry-After"] = str(round(seconds))
    return response
