"""Guessing passwords: after some wrong ones, name and address together have to wait (django-axes counts).

Counted in the database, so it holds for all processes. The pair is locked and not the name, because a name that anyone
can lock from anywhere would keep an operator out of their work.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

STATUS = 429


def address_of(request: HttpRequest) -> str:
    """Of the browser. nginx replaces X-Forwarded-For by the address it sees (deploy/nginx/locations.conf).

    Without a proxy in front a client may claim another one: it escapes its own count then, and nobody else's.
    """
    claimed = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    address: str = claimed or request.META.get("REMOTE_ADDR", "")
    return address[:64]


def refusal(request: HttpRequest, _response: Any, _credentials: Any) -> HttpResponse:
    """What django-axes answers in the place of a login, of ours and of the admin."""
    wait = settings.AXES_COOLOFF_TIME
    answer = render(request, "pages/locked.html", {"minutes": wait.total_seconds() / 60}, status=STATUS)
    answer["Retry-After"] = str(round(wait.total_seconds()))
    return answer
