"""The middleware in front of all that needs the database: while it is away, 503 at once instead of
a thread that hangs.

A request that comes while the database is away is turned back. One that was let in before is
answered 503 as soon as the watch finds that out: its query may hang on in its thread, for nothing
can end a query to a paused server, but the client has its answer. So an outage costs as many
threads as there were requests under way, not one for each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from asgiref.sync import markcoroutinefunction
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.template.loader import render_to_string

from acsmedia.monitoring import database_watch
from calls.http.errors import RETRY_AFTER_SECONDS, database_unavailable

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 0.25
"""How often a request that takes its time looks whether the database is still there."""

Next = Callable[[HttpRequest], Any]


class DatabaseGate:
    """Of class form for `process_exception`, which only those have.

    It is the first of those in the settings, because the others run in the thread of the request,
    which may hang; so it gives its own answers the headers that theirs would have. It is never
    synchronous itself, which Django would otherwise make of it for the sake of others that are.
    """

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Next, away: Callable[[], str] | None = None) -> None:
        self._next = get_response
        self._away = away or (
            database_watch.postgres.outage if connection.vendor == "postgresql" else str
        )
        self._turn_back: Next = SecurityMiddleware(CSPMiddleware(XFrameOptionsMiddleware(answer)))
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = None
        if not needs_database(request):
            response = await self._next(request)
        elif not self._away():
            response = await self._unless_away(asyncio.ensure_future(self._next(request)))
        return self._turn_back(request) if response is None else response

    async def _unless_away(
        self, answering: asyncio.Future[HttpResponseBase]
    ) -> HttpResponseBase | None:
        try:
            while not (await asyncio.wait({answering}, timeout=REFRESH_SECONDS))[0]:
                if self._away():
                    return None
            return answering.result()
        finally:
            answering.cancel()  # the client or the database has gone away; views take it from here

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Of a view: one that came before the watch knew."""
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        log.warning(
            "database away", view=request.resolver_match and request.resolver_match.view_name
        )
        return answer(request)


def needs_database(request: HttpRequest) -> bool:
    """All but files: the page that tells of an outage has its looks from there."""
    return not request.path_info.startswith(settings.STATIC_URL)


def answer(request: HttpRequest) -> HttpResponse:
    """503: JSON for REST, a page for people. Rendered without a user, whom only the database
    knows.
    """
    if request.path_info.startswith("/api/"):
        return database_unavailable()
    page = render_to_string("pages/database_unavailable.html", {"seconds": RETRY_AFTER_SECONDS})
    headers = {"Retry-After": RETRY_AFTER_SECONDS, "Cache-Control": "no-store"}
    return HttpResponse(page, status=503, headers=headers)
