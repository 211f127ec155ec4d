"""Events of ACS as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from calls.models import CallEvent


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
