"""Guessing passwords: after some wrong ones, name and address together have to wait (django-axes
counts).

Counted in the database, so it holds for all processes. The pair is locked and not the name, because
a name that anyone can lock from anywhere would keep an operator out of their work.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

STATUS = 429


def client_address(request: HttpRequest) -> str | None:
    """Of the browser. nginx replaces X-Forwarded-For by the address it sees
    (deploy/nginx/locations.conf).

    Some load balancers add a port. What is no address at all was claimed by whoever asks, and the
    one that is connected to us counts; None where there is none (a Unix socket). Without a proxy in
    front a client may claim another address: it escapes its own count then, and nobody else's.
    """
    claimed = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    without_port = claimed.rpartition(":")[0].strip("[]")
    for text in (claimed, without_port, request.META.get("REMOTE_ADDR", "")):
        try:
            return str(ip_address(text.partition("%")[0]))  # Postgres knows no zones
        except ValueError:
            continue
    return None


def refusal(request: HttpRequest, _response: Any, _credentials: Any) -> HttpResponse:
    """What django-axes answers in the place of a login, of ours and of the admin."""
    wait = settings.AXES_COOLOFF_TIME
    answer = render(
        request, "pages/locked.html", {"minutes": wait.total_seconds() / 60}, status=STATUS
    )
    answer["Retry-After"] = str(round(wait.total_seconds()))
    return answer
