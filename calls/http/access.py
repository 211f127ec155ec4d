"""The user of a download, asked again while it runs, since no request would: session alive, key of
REST not deleted, user active, permissions still given.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.db import Error as DatabaseError
from django.http import HttpRequest
from rest_framework.authtoken.models import Token

from calls.export.errors import AccessEnded
from calls.permissions import Needed, missing

log = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0


class Access:
    """The access of one download. Its request has been checked, with the permissions `needed`."""

    def __init__(self, request: HttpRequest, needed: Needed) -> None:
        auth = getattr(request, "auth", None)  # set by REST
        self._key = auth.key if isinstance(auth, Token) else None
        self._session_key = request.session.session_key or ""
        self._user_id = request.user.pk
        self._needed = needed
        self._checked = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._checked >= CHECK_SECONDS

    def check(self) -> None:
        """Raises `AccessEnded` if the user may not have the file any more.

        While the database is unreachable the download goes on: nobody can be refused meanwhile.
        """
        self._checked = time.monotonic()
        try:
            permission = missing(self._user(), self._needed)
        except DatabaseError as error:
            log.warning("download not checked", error=type(error).__name__)
            return
        if permission:
            log.info("download ended", user=self._user_id, permission=permission)
            raise AccessEnded

    def _user(self) -> Any:
        if self._key is None:
            return user_of(self._session_key)
        token = Token.objects.select_related("user").filter(pk=self._key).first()
        return token.user if token and token.user.is_active else AnonymousUser()


def user_of(session_key: str) -> Any:
    """Returns the user that the browser's next request would have, or the anonymous user.

    Re-authenticates the session: alive, password unchanged, user active. Permissions are read anew.
    """
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key or None)
    return get_user(request)
