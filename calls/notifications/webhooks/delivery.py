"""Deliveries of events: the next one that is due, one attempt, and its outcome.

| answer | outcome |
| --- | --- |
| 2xx | delivered |
| 410 | the endpoint is disabled, and its waiting deliveries are given up |
| none, 3xx, 401 to 405, 408, 425, 429, 502 and higher | the endpoint pauses |
| others, such as 400 or 500 | this delivery waits; the next one is tried at once |

After a pause one delivery tries the endpoint, and the others follow once it answers.

After three days a delivery is given up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from uuid import uuid4

import structlog
from django.db import connections, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from calls.models import (
    DeliveryAttempt,
    EventType,
    OutgoingEvent,
    RaisedAlarm,
    WebhookDelivery,
    WebhookEndpoint,
    database_now,
)
from calls.models.notifications.outbox import DELIVERED_FOR
from calls.notifications.webhooks import http_post, signing
from calls.notifications.webhooks.http_post import Answer, DeliveryError
from calls.notifications.webhooks.retries import pause_seconds, retry_after_seconds

log = structlog.get_logger(__name__)

CLAIM = timedelta(seconds=60)
"""Longer than an attempt with the resolution of its name. Renewed before each attempt."""

LONGEST_PAUSE = timedelta(days=1)
"""A moment that is further in the future was written before a clock was set back."""

MAX_ATTEMPTS_KEPT = 20
"""Attempts of one delivery that are kept, the newest."""

KEPT_FOR = timedelta(days=30)
"""Age at which events are removed, and alarms that have been cleared for that long."""

ROWS_PER_BATCH = 500

GONE = 410
OF_THE_ENDPOINT = frozenset({*range(300, 400), *range(401, 406), 408, 425, 429, *range(502, 600)})
"""Statuses that say something of the endpoint, not of the event."""

WAITING, DELIVERED, GIVEN_UP = WebhookDelivery.Status


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request and its outcome. `answer` is None if there was none; `error` says why."""

    started_at: datetime
    seconds: float
    answer: Answer | None
    error: str

    @property
    def status(self) -> int | None:
        return self.answer.status if self.answer else None

    @property
    def is_delivered(self) -> bool:
        return self.answer is not None and 200 <= self.answer.status < 300

    @property
    def asked_seconds(self) -> float:
        return retry_after_seconds(self.answer.retry_after if self.answer else "", timezone.now())


def due_endpoints() -> list[int]:
    """Returns the endpoints to deliver to, that with the oldest due delivery first."""
    oldest = _due(OuterRef("pk")).values("next_attempt_at")[:1]
    ready = WebhookEndpoint.objects.filter(_is_free(), _is_awake(), is_enabled=True)
    due = ready.annotate(oldest=Subquery(oldest)).exclude(oldest=None).order_by("oldest")
    return list(due.values_list("pk", flat=True))


def claim(endpoint_id: int) -> bool:
    """Reserves an endpoint for this process for `CLAIM`; False if another one has it."""
    free = WebhookEndpoint.objects.filter(_is_free(), pk=endpoint_id)
    return bool(free.update(claimed_until=database_now() + CLAIM))


def release(endpoint_id: int) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(claimed_until=None)


def deliver_next(endpoint_id: int) -> bool:
    """Makes one attempt at the oldest due delivery of a claimed endpoint; False if there is none.

    Call it in a thread of its own and outside of a transaction: it gives the connection back to the
    pool while it waits for the answer. Raises `django.db.Error`.
    """
    endpoint = WebhookEndpoint.objects.filter(_is_awake(), pk=endpoint_id, is_enabled=True).first()
    delivery = _due(endpoint_id).select_related("event").first()
    if endpoint is None or delivery is None:
        return False
    WebhookEndpoint.objects.filter(pk=endpoint_id).update(claimed_until=database_now() + CLAIM)
    connections.close_all()  # 16 slow receivers would take all connections of the pool
    attempt = send(endpoint, delivery.event)
    with transaction.atomic():
        _note(delivery, attempt)
        _conclude(endpoint, delivery, attempt)
    return True


def send(endpoint: WebhookEndpoint, event: OutgoingEvent) -> Attempt:
    """Sends an event to an endpoint, and waits for the answer."""
    started_at, began = timezone.now(), time.monotonic()
    answer, error = None, ""
    try:
        body = signing.body_of(event)
        headers = signing.headers_of(endpoint, str(event.id), body, started_at)
        answer = http_post.post(endpoint.url, body, headers)
    except DeliveryError as refused:
        error = str(refused)
    if answer and 300 <= answer.status < 400:
        error = "Redirects are not followed."
    return Attempt(started_at, time.monotonic() - began, answer, error)


def send_test(endpoint: WebhookEndpoint) -> Attempt:
    """Sends an event of type `test`, which is not stored."""
    data = {"message": "A test by a user of the admin.", "endpoint": endpoint.pk}
    event = OutgoingEvent(id=uuid4(), type=EventType.TEST, occurred_at=timezone.now(), data=data)
    return send(endpoint, event)


def send_again(delivery_ids: Sequence[int]) -> int:
    """Makes given-up deliveries wait again, for three more days; returns how many."""
    given_up = WebhookDelivery.objects.filter(pk__in=delivery_ids, status=GIVEN_UP)
    now = database_now()
    return given_up.update(
        status=WAITING, finished_at=None, next_attempt_at=now, give_up_at=now + DELIVERED_FOR
    )


def enable(endpoint: WebhookEndpoint) -> set[str]:
    """Clears the reason and the pause of an endpoint; the caller saves the columns returned."""
    endpoint.is_enabled, endpoint.disabled_reason = True, ""
    return {"is_enabled", "disabled_reason", *end_pause(endpoint)}


def end_pause(endpoint: WebhookEndpoint) -> set[str]:
    """Lets it be tried at once; the caller saves the columns returned."""
    endpoint.failures, endpoint.failing_since, endpoint.paused_until = 0, None, None
    return {"failures", "failing_since", "paused_until"}


def remove_old(stopping: Event) -> None:
    """Gives up deliveries that have waited for three days; removes old events and alarms. A job;
    raises `django.db.Error`.
    """
    now = database_now()
    expired = WebhookDelivery.objects.filter(status=WAITING, give_up_at__lt=now)
    expired.update(status=GIVEN_UP, finished_at=now, next_attempt_at=None)
    old: list[QuerySet[OutgoingEvent] | QuerySet[RaisedAlarm]] = [
        OutgoingEvent.objects.filter(created_at__lt=now - KEPT_FOR).order_by("created_at"),
        RaisedAlarm.objects.filter(cleared_at__lt=now - KEPT_FOR).order_by("raised_at"),
    ]
    for rows in old:
        until = time.monotonic() + 10
        while not stopping.is_set() and time.monotonic() < until:
            batch = list(rows.values_list("pk", flat=True)[:ROWS_PER_BATCH])
            if not batch:
                break
            rows.model._default_manager.filter(pk__in=batch).delete()


def _due(endpoint: int | OuterRef) -> QuerySet[WebhookDelivery]:
    """Selects the due deliveries of an endpoint. Index: delivery_waiting."""
    due = WebhookDelivery.objects.filter(
        endpoint=endpoint, status=WAITING, next_attempt_at__lte=database_now()
    )
    return due.order_by("next_attempt_at", "id")


def _is_free() -> Q:
    return _is_past("claimed_until", 2 * CLAIM)


def _is_awake() -> Q:
    return _is_past("paused_until", LONGEST_PAUSE)


def _is_past(column: str, longest: timedelta) -> Q:
    now = database_now()
    past, absurd = Q(**{f"{column}__lte": now}), Q(**{f"{column}__gt": now + longest})
    return Q(**{column: None}) | past | absurd


def _note(delivery: WebhookDelivery, attempt: Attempt) -> None:
    """Writes the row of an attempt, and removes the oldest ones."""
    history = DeliveryAttempt.objects.filter(delivery=delivery)
    DeliveryAttempt.objects.create(
        delivery=delivery,
        started_at=attempt.started_at,
        seconds=attempt.seconds,
        status_code=attempt.status,
        error=attempt.error[:200],
    )
    delivery.attempts += 1
    if delivery.attempts > MAX_ATTEMPTS_KEPT:
        kept = history.order_by("-id").values_list("pk", flat=True)[:MAX_ATTEMPTS_KEPT]
        history.exclude(pk__in=list(kept)).delete()


def _conclude(endpoint: WebhookEndpoint, delivery: WebhookDelivery, attempt: Attempt) -> None:
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    now = timezone.now()
    if attempt.status == GONE:
        _finish(delivery, GIVEN_UP)
        row.update(is_enabled=False, disabled_reason="It answered 410 (gone).")
        log.warning("webhook endpoint disabled", endpoint=endpoint.pk)
        waiting = WebhookDelivery.objects.filter(endpoint=endpoint, status=WAITING)
        waiting.update(status=GIVEN_UP, finished_at=now, next_attempt_at=None)
    elif attempt.status is None or attempt.status in OF_THE_ENDPOINT:
        _log_first_failure(endpoint, attempt)
        endpoint.failures += 1
        pause = _pause(endpoint.failures, attempt)
        row.update(
            failures=endpoint.failures,
            failing_since=endpoint.failing_since or now,
            paused_until=database_now() + pause,
        )
        _postpone(delivery, pause)
    elif attempt.is_delivered:
        if endpoint.failing_since:
            row.update(failures=0, failing_since=None, paused_until=None)
            failures = endpoint.failures
            log.info("webhook endpoint accepts again", endpoint=endpoint.pk, failures=failures)
        _finish(delivery, DELIVERED)
    else:
        _log_first_failure(endpoint, attempt)
        since = endpoint.failing_since or now
        row.update(failures=0, failing_since=since, paused_until=None)
        _postpone(delivery, _pause(delivery.attempts, attempt))


def _log_first_failure(endpoint: WebhookEndpoint, attempt: Attempt) -> None:
    if endpoint.failing_since is None:
        status, error = attempt.status, attempt.error
        log.warning("webhook endpoint fails", endpoint=endpoint.pk, status=status, error=error)


def _pause(failures: int, attempt: Attempt) -> timedelta:
    jitter = random.random()  # noqa: S311 - no secret
    return timedelta(seconds=pause_seconds(failures, jitter, attempt.asked_seconds))


def _postpone(delivery: WebhookDelivery, pause: timedelta) -> None:
    if delivery.give_up_at and delivery.give_up_at <= timezone.now() + pause:
        _finish(delivery, GIVEN_UP)
    else:
        _update(delivery, next_attempt_at=database_now() + pause)


def _finish(delivery: WebhookDelivery, status: WebhookDelivery.Status) -> None:
    _update(delivery, status=status, finished_at=timezone.now(), next_attempt_at=None)


def _update(delivery: WebhookDelivery, **values: object) -> None:
    """Updates a delivery unless it has been finished meanwhile by another process."""
    rows = WebhookDelivery.objects.filter(pk=delivery.pk, status=WAITING)
    rows.update(attempts=delivery.attempts, **values)
