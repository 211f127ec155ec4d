"""Rate limits of REST: by user, and without login by address."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework import throttling
from rest_framework.request import Request

from calls.lockout import client_address


class _ByAddress:
    """The client's address as everywhere else: DRF would take all of X-Forwarded-For, which a
    client may change with every request.
    """

    def get_ident(self, request: Request | HttpRequest) -> str:
        return client_address(getattr(request, "_request", request)) or "unix"


class AnonymousThrottle(_ByAddress, throttling.AnonRateThrottle):
    """Counts requests without valid credentials."""


class UserThrottle(_ByAddress, throttling.UserRateThrottle):
    """Counts requests of a user."""
