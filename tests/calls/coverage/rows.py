"""Rows of witnesses: recorded calls of a minute, events, statements."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction

from calls.coverage import due
from calls.coverage.job.runner import judge
from calls.models import Call, CallCoverage, CallEvent, ExpectedCall, coverage_id_of
from tests.calls.rows import ALICE, START, make_call, make_participant, make_subscription

CONNECTION = "connection-1"
NOW = START + timedelta(hours=2)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(connection: str = CONNECTION, start: float = 0, end: float = 60, **values: Any) -> Call:
    """Creates a recording with one socket and one track, and marks the call as the sealer does."""
    raw_id = values.pop("raw_id", ALICE)
    socket = values.pop("socket", {})
    call = make_call(connection, started_at=at(start), **values)
    ended = {"seen_at": at(end), "disconnected_at": at(end)}
    make_subscription(call, connected_at=at(start), **(ended | socket))
    make_participant(call, raw_id, heard_at=at(start), heard_until=at(end))
    mark(call.call_connection_id, call.correlation_id, call=call)
    return call


def mark(connection: str = CONNECTION, correlation: str = "", *, call: Call | None = None) -> None:
    with transaction.atomic():
        due.mark([due.CallKey(connection, correlation, START, call.id if call else None)])


def event(kind: str, seconds: float, connection: str = CONNECTION, **values: Any) -> CallEvent:
    """Creates an event of ACS, received at once, and marks its call."""
    data = values.pop("data", {})
    given = {"correlation_id": "", "server_call_id": ""} | values
    row = CallEvent.objects.create(
        id=uuid4(),
        source="callback",
        event_id=str(uuid4()),
        type=kind,
        call_connection_id=connection,
        occurred_at=at(seconds),
        received_at=at(seconds + given.pop("delay", 0)),
        data=data,
        **given,
    )
    mark(connection, row.correlation_id)
    return row


def connected(start: float = 0, end: float = 60, connection: str = CONNECTION) -> None:
    event("CallConnected", start, connection)
    event("CallDisconnected", end, connection)


def state(connection: str = CONNECTION, **values: Any) -> ExpectedCall:
    """Creates a statement about the call by another system, and marks the call."""
    given = {
        "source": "pbx",
        "started_at": at(0),
        "ended_at": at(60),
        "received_at": at(60),
        "correlation_id": "",
    } | values
    row = ExpectedCall.objects.create(id=uuid4(), call_connection_id=connection, **given)
    mark(connection, row.correlation_id)
    return row


def judged(
    connection: str = CONNECTION, correlation: str = "", now: datetime = NOW
) -> CallCoverage:
    """Judges the call, and returns its row."""
    coverage_id = coverage_id_of(connection, correlation)
    CallCoverage.objects.filter(id=coverage_id, due_at__isnull=False).update(due_at=START)
    judge(coverage_id, now)
    return CallCoverage.objects.get(id=coverage_id)


def missing(row: CallCoverage) -> list[tuple[float, float, str]]:
    """Returns the missing time of a call in seconds after `START`."""
    return [
        (
            (one.started_at - START).total_seconds(),
            (one.ended_at - START).total_seconds(),
            one.reason,
        )
        for one in row.missing.order_by("started_at", "id")
    ]
