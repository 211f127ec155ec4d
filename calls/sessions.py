"""Whose a session is, asked again while a socket is open: no request comes that would find out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest


def user_of(session_key: str) -> Any:
    """As the next request of this browser would find it: session alive, password unchanged, user active.

    The anonymous user where there is none. Permissions are read anew with it.
    """
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key or None)
    return get_user(request)
