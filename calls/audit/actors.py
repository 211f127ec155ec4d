"""Actors of the audit: users, keys of REST, management commands and the system."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.http import HttpRequest
from rest_framework.authtoken.models import Token

from calls.lockout import client_address, client_of_socket

Kind = Literal["user", "key", "command", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or program that acts. The name stays readable when the account is gone."""

    kind: Kind
    name: str = ""
    id: str = ""
    address: str = ""


def actor_of(request: Any) -> Actor:
    """Returns the sender of a request of Django or DRF: a user, by session or by a key of REST."""
    django_request: HttpRequest = getattr(request, "_request", request)
    kind: Kind = "key" if isinstance(getattr(request, "auth", None), Token) else "user"
    return _of_user(kind, request.user, client_address(django_request))


def actor_of_scope(scope: Mapping[str, Any]) -> Actor:
    """Returns the user of a WebSocket of ours."""
    return _of_user("user", scope.get("user"), client_of_socket(scope))


def command_actor(name: str) -> Actor:
    """Returns a management command, with the user of the operating system."""
    try:
        account = getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        account = "unknown"
    return Actor("command", name=f"{account}: manage.py {name}")


def system_actor(job: str) -> Actor:
    """Returns a job that runs by itself."""
    return Actor("system", name=job)


def _of_user(kind: Kind, user: Any, address: str | None) -> Actor:
    if user is None or not user.is_authenticated:
        return Actor(kind, address=address or "")
    return Actor(kind, user.get_username(), str(user.pk), address or "")
