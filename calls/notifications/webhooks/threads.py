"""Threads that deliver: one per endpoint, so that a slow or dead endpoint does not delay others, up
to `MAX_THREADS` such endpoints. If there are more, they take turns.

    job ──▶ endpoints with due deliveries ──claim──▶ a thread each ──▶ attempt, attempt, … ──▶ rows

A process claims an endpoint by a conditional update, so one process at a time delivers to it, in
order of time. If the process dies, the claim runs out, and another one repeats the attempt: a
receiver may get an event twice.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from threading import Event

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from calls.notifications.webhooks import delivery
from calls.storage import cause_of

log = structlog.get_logger(__name__)

MAX_THREADS = 16
"""Endpoints to which one process delivers at the same time."""

TURN_SECONDS = 60.0
"""A thread ends after this time, so that endpoints that wait for one have their turn."""


class Deliverer:
    """The threads of this process."""

    def __init__(self) -> None:
        self._threads: dict[int, threading.Thread] = {}  # by endpoint
        self._last_started: dict[int, float] = {}  # by endpoint: when its last thread was started

    def run(self, stopping: Event) -> None:
        """Starts a thread for each endpoint with due deliveries; does not wait for them. A job;
        raises `django.db.Error`.
        """
        self._threads = {pk: one for pk, one in self._threads.items() if one.is_alive()}
        # The last turn decides, not the oldest delivery: a slow endpoint always has the oldest.
        for endpoint_id in sorted(
            delivery.due_endpoints(), key=lambda pk: self._last_started.get(pk, 0)
        ):
            if len(self._threads) >= MAX_THREADS or stopping.is_set():
                return
            if endpoint_id not in self._threads and delivery.claim(endpoint_id):
                self._threads[endpoint_id] = threading.Thread(
                    target=_deliver_all,
                    args=(endpoint_id, stopping),
                    name=f"webhook-{endpoint_id}",
                    daemon=True,  # an attempt that is cut off is repeated
                )
                self._last_started[endpoint_id] = time.monotonic()
                self._threads[endpoint_id].start()

    def wait(self, seconds: float) -> bool:
        """Waits for the threads; False if one is still working."""
        deadline = time.monotonic() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads.values())


def _deliver_all(endpoint_id: int, stopping: Event) -> None:
    """Delivers to a claimed endpoint until nothing is due, and releases it."""
    until = time.monotonic() + TURN_SECONDS
    try:
        while not stopping.is_set() and time.monotonic() < until:
            if not delivery.deliver_next(endpoint_id):
                break
    except DatabaseError as error:
        log.warning("webhook delayed", endpoint=endpoint_id, error=cause_of(error))
    except Exception:  # a fault of one endpoint must be seen, and end its thread only
        log.exception("webhook failed", endpoint=endpoint_id)
    finally:
        with suppress(DatabaseError):  # the claim runs out
            delivery.release(endpoint_id)
        connections.close_all()
