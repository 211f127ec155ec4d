"""Login lock-out per (username, address) after failed attempts; django-axes counts them.

The counts are in the database, so they apply to all processes. The pair is locked, not the username
alone: otherwise anyone could lock operators out from anywhere.
"""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def client_address(request: HttpRequest) -> str | None:
    """Returns the browser's address; None if there is none (a Unix socket).

    nginx sets X-Forwarded-For to the address it sees (deploy/nginx/locations.conf); some load
    balancers add a port. If the header holds no valid address, the address of the connection is
    used. Without a proxy a client can forge the header and so escape its own count, but it cannot
    lock out another address.
    """
    claimed = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    without_port = claimed.rpartition(":")[0].strip("[]")
    for text in (claimed, without_port, request.META.get("REMOTE_ADDR", "")):
        try:
            return str(ip_address(text.partition("%")[0]))  # Postgres has no IPv6 zones
        except ValueError:
            continue
    return None


def refusal(request: HttpRequest, _response: Any, _credentials: Any) -> HttpResponse:
    """Returns the response to a login while it is locked, for our login page and the admin's."""
    seconds = settings.AXES_COOLOFF_TIME.total_seconds()
    response = render(
        request, "pages/locked.html", {"minutes": seconds / 60}, status=HTTPStatus.TOO_MANY_REQUESTS
    )
    response["Retry-After"] = str(round(seconds))
    return response
