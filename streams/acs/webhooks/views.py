"""The two addresses at which ACS reports events: callbacks and Event Grid.

| answer | when |
| --- | --- |
| 200 | all events are committed; ACS does not send them again |
| 400 | malformed; the text names the field |
| 401, 403 | credentials are missing or wrong, or none are configured |
| 413 | the body is larger than 1 MiB |
| 503 | the database or the key server is unreachable, or a call not answered yet: sent again |
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from calls.http.errors import RETRY_AFTER_SECONDS, database_unavailable
from calls.identity import event_row_id
from calls.lockout import client_address
from calls.models import CallEvent
from streams.acs.answering.answerer import answerer, wanted
from streams.acs.refusals import Reason, Refused, WebhookReason
from streams.acs.webhooks.authentication import Authentication, Closed, callback_auth, grid_auth
from streams.acs.webhooks.counts import counts
from streams.acs.webhooks.effects import apply_names, report, reported_ends
from streams.acs.webhooks.parsing import Batch, Malformed, parse
from streams.acs.webhooks.storage import plausible, store
from streams.log_limiter import LogLimiter

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""As `acsmedia.servers.request_limits` and `client_max_body_size` of nginx, which come first."""

MAX_ORIGIN = 256

Source = CallEvent.Source


class Webhook:
    """One address. `auth` builds its authentication from the settings, at its first request."""

    def __init__(self, source: Source, auth: Callable[[], Authentication]) -> None:
        self._source = source
        self._build = auth
        self._auth: Authentication | None = None
        self._refusals = LogLimiter()

    def install(self, auth: Authentication | None) -> None:
        """Replaces the authentication; None: it is built again from the settings."""
        self._auth = auth

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Authenticates a request, stores its events and returns the response."""
        if self._auth is None:
            self._auth = self._build()
        try:
            query = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
            await self._auth.check(request.headers, query)
            if request.method == "OPTIONS":
                return _handshake(request)
            return await self._take(request)
        except Refused as refused:
            return self._refuse(request, refused)

    async def _take(self, request: HttpRequest) -> HttpResponse:
        body = request.body
        if len(body) > MAX_BODY_BYTES:
            return self._reject(WebhookReason.TOO_LARGE, "The body is larger than 1 MiB.", 413)
        try:
            received_at = timezone.now()
            batch, is_decided = await sync_to_async(self._store)(body, received_at)
        except Malformed as error:
            return self._reject(WebhookReason.MALFORMED_BODY, str(error), 400)
        except (OperationalError, InterfaceError):
            self._note(WebhookReason.DATABASE_UNREACHABLE)
            return database_unavailable()
        await report(reported_ends(batch.events, received_at))
        if not is_decided:  # Event Grid sends the event again, while the call still rings
            return HttpResponse(status=503, headers={"Retry-After": RETRY_AFTER_SECONDS})
        if batch.validation_code:
            return JsonResponse({"validationResponse": batch.validation_code})
        return HttpResponse(status=200)

    def _store(self, body: bytes, received_at: datetime) -> tuple[Batch, bool]:
        """Parses and commits the events of a request, and answers incoming calls that a rule wants
        answered; False if some are not decided yet. It blocks, so it runs in a thread.
        """
        batch = parse(body)
        store(self._source, batch.events, received_at)
        apply_names(batch.events, received_at)
        counts.note_received(self._source.value, [event.type for event in batch.events])
        return batch, self._answer(batch, received_at)

    def _answer(self, batch: Batch, received_at: datetime) -> bool:
        if self._source is not Source.EVENT_GRID:
            return True
        incoming = wanted(
            [
                (
                    event_row_id(event.source, event.event_id),
                    event.type,
                    event.data,
                    plausible(event.occurred_at, received_at),
                )
                for event in batch.events
            ]
        )
        return answerer.answer_all(incoming) if incoming else True

    def _note(self, reason: Reason | WebhookReason, address: str = "") -> None:
        """Counts a refused request, and logs it: one line per reason and ten seconds."""
        counts.note_refused(reason)
        more = self._refusals.take(reason.value)
        if more is not None:
            found = {"source": self._source.value, "reason": reason.value, "address": address}
            log.warning("events refused", **found, more=more)

    def _reject(self, reason: WebhookReason, text: str, status: int) -> HttpResponse:
        self._note(reason)
        return JsonResponse({"detail": text}, status=status)

    def _refuse(self, request: HttpRequest, refused: Refused) -> HttpResponse:
        reason = refused.reason
        self._note(reason, client_address(request) or "")
        needed = f": set {refused.needed}" if isinstance(refused, Closed) else ""
        response = JsonResponse(
            {"detail": f"Refused: {reason.value}{needed}."}, status=refused.status
        )
        if refused.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="events"'
        if refused.status == 503:
            response.headers["Retry-After"] = RETRY_AFTER_SECONDS
        return response


def _handshake(request: HttpRequest) -> HttpResponse:
    """Allows the sender of CloudEvents to send (HTTP 1.1 Web Hooks for Event Delivery, section 4).

    Without a limit of the rate: what a sender holds back comes too late.
    """
    response = HttpResponse(status=200, headers={"Allow": "POST, OPTIONS"})
    if origin := request.headers.get("WebHook-Request-Origin", "")[:MAX_ORIGIN]:
        response.headers["WebHook-Allowed-Origin"] = origin
        response.headers["WebHook-Allowed-Rate"] = "*"
    return response


def _view(webhook: Webhook, *methods: str) -> Any:
    async def view(request: HttpRequest) -> HttpResponse:
        if request.method not in methods:
            allowed = ", ".join(methods)
            text = f"Use {' or '.join(methods)}."
            return JsonResponse({"detail": text}, status=405, headers={"Allow": allowed})
        return await webhook.answer(request)

    return csrf_exempt(view)


callback_webhook = Webhook(Source.CALLBACK, callback_auth)
grid_webhook = Webhook(Source.EVENT_GRID, grid_auth)
callbacks = _view(callback_webhook, "POST")
events = _view(grid_webhook, "POST", "OPTIONS")
