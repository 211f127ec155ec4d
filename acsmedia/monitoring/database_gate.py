"""Middleware that answers 503 at once while the database is unreachable, instead of hanging.

A request that arrives during an outage is refused. A request already in progress is answered 503 as
soon as the watch detects the outage. Its query may keep hanging in its thread, because nothing can
cancel a query to a paused server, but the client has its answer. So an outage costs one thread for
each request that was in progress when it began, not one for each request that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

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
from streams.acs.refusals import WebhookReason
from streams.acs.webhooks.counts import counts

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 0.25
"""How often the watch is checked while a request is in progress."""

Next = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class DatabaseGate:
    """A class, because only class-based middleware has `process_exception`.

    It comes before the middleware that runs in the thread of the request, which may hang, so it
    adds their headers to its own responses. `sync_capable` is false, because Django would otherwise
    run it synchronously for the sake of synchronous middleware.
    """

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Next, outage: Callable[[], str] | None = None) -> None:
        """`outage` returns the reason why the database is unreachable, "" if it is reachable."""
        self._next = get_response
        self._outage = outage or (
            database_watch.postgres.outage if connection.vendor == "postgresql" else str
        )
        # Typed for middleware of both kinds; around a synchronous view it is synchronous.
        self._refuse = cast(
            "Callable[[HttpRequest], HttpResponseBase]",
            SecurityMiddleware(CSPMiddleware(XFrameOptionsMiddleware(unavailable))),
        )
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not needs_database(request):
            return await self._next(request)
        if self._outage():
            return self._refuse(request)
        pending = asyncio.ensure_future(self._next(request))
        try:
            while not (await asyncio.wait({pending}, timeout=REFRESH_SECONDS))[0]:
                if self._outage():
                    return self._refuse(request)
            return pending.result()
        finally:
            pending.cancel()  # the client or the database is gone; the views handle the rest

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Handles a database error of a view: the request came before the watch had noticed."""
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        match = request.resolver_match
        log.warning("database unreachable", view=match and match.view_name)
        return unavailable(request)


def needs_database(request: HttpRequest) -> bool:
    """Returns False for static files only: the page about the outage needs its style sheet."""
    return not request.path_info.startswith(settings.STATIC_URL)


def unavailable(request: HttpRequest) -> HttpResponse:
    """Returns 503: JSON for REST and for webhooks, whose sender repeats them; for browsers a page,
    rendered without the user's database row.
    """
    if request.path_info.startswith("/webhooks/"):
        counts.note_refused(WebhookReason.DATABASE_UNREACHABLE)
        return database_unavailable()
    if request.path_info.startswith("/api/"):
        return database_unavailable()
    page = render_to_string("pages/database_unavailable.html", {"seconds": RETRY_AFTER_SECONDS})
    headers = {"Retry-After": RETRY_AFTER_SECONDS, "Cache-Control": "no-store"}
    return HttpResponse(page, status=503, headers=headers)
