"""Events of ACS, and calls that were to be answered, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from calls.models import AnsweredCall, CallEvent


def make_event(
    name: str = "CallDisconnected",
    at: datetime | None = None,
    *,
    connection_id: str = "",
    correlation_id: str = "",
    server: str = "",
    received_at: datetime | None = None,
    **data: Any,
) -> CallEvent:
    """Creates an event that happened, and was received, at that time; by default now."""
    now = timezone.now()
    return CallEvent.objects.create(
        id=uuid4(),
        source="callback",
        event_id=str(uuid4()),
        type=name,
        call_connection_id=connection_id,
        correlation_id=correlation_id,
        server_call_id=server,
        occurred_at=at or now,
        received_at=received_at or max(at or now, now),
        data=data,
    )


def make_answered_call(began_at: datetime | None = None, **values: str) -> AnsweredCall:
    """Creates the row of an incoming call that rang at that time; by default now, undecided."""
    began = began_at or timezone.now()
    return AnsweredCall.objects.create(
        id=uuid4(), event_id=uuid4(), began_at=began, claimed_until=began, **values
    )
