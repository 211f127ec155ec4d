"""Deletion of old events of ACS about calls that were never recorded, and of old rows of answered
calls. Others go with their call.
"""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Event as StopEvent

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from calls.models import AnsweredCall, Call, CallEvent, database_now

ROWS_PER_BATCH = 500
REMOVING_SECONDS = 15.0


def remove_old(stopping: StopEvent) -> None:
    """Deletes events that came in `EVENTS_WITHOUT_CALL_DAYS` ago if their call has no row; notes
    of the others that it has, so that each event is asked once. A job.
    """
    limit = database_now() - timedelta(days=settings.EVENTS_WITHOUT_CALL_DAYS)
    until = time.monotonic() + REMOVING_SECONDS  # the rest in the next run
    old = CallEvent.objects.filter(has_call=None, received_at__lt=limit).order_by("received_at")
    while time.monotonic() < until and not stopping.is_set():
        batch = list(old.values_list("pk", flat=True)[:ROWS_PER_BATCH])
        if not batch:
            return
        asked = CallEvent.objects.filter(pk__in=batch)
        recorded = list(asked.filter(_is_recorded()).order_by().values_list("pk", flat=True))
        CallEvent.objects.filter(pk__in=recorded).update(has_call=True)
        CallEvent.objects.filter(pk__in=set(batch) - set(recorded)).delete()


def remove_answered(stopping: StopEvent) -> None:
    """Deletes the rows of calls that were to be answered `EVENTS_WITHOUT_CALL_DAYS` ago. A job."""
    limit = database_now() - timedelta(days=settings.EVENTS_WITHOUT_CALL_DAYS)
    until = time.monotonic() + REMOVING_SECONDS
    old = AnsweredCall.objects.filter(began_at__lt=limit).order_by("began_at")
    while time.monotonic() < until and not stopping.is_set():
        batch = list(old.values_list("pk", flat=True)[:ROWS_PER_BATCH])
        if not batch:
            return
        AnsweredCall.objects.filter(pk__in=batch).delete()


def _is_recorded() -> Q:
    """Returns the condition that a call exists which the event names, by any of its ids."""
    calls = Call.objects.order_by()
    own = calls.filter(call_connection_id=OuterRef("call_connection_id"))
    same_correlation = calls.filter(correlation_id=OuterRef("correlation_id"))
    of_sibling = calls.filter(call_connection_id=OuterRef("call_connection_id"))
    siblings = CallEvent.objects.filter(server_call_id=OuterRef("server_call_id")).order_by()
    named = siblings.filter(Exists(of_sibling), call_connection_id__gt="")
    return (
        Q(Exists(own), call_connection_id__gt="")
        | Q(Exists(same_correlation), call_connection_id="", correlation_id__gt="")
        | Q(Exists(named), call_connection_id="", server_call_id__gt="")
    )
