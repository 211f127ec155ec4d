"""Factories: canary calls with their runs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from calls.models import Call, CanaryRun
from tests.calls.rows import ALICE, START, make_call, make_participant, make_segment, noise


def make_run(**values: Any) -> CanaryRun:
    """Creates a run, by default a good one, without its call."""
    values = {"call_connection_id": f"canary-{uuid4()}", "outcome": "passed", **values}
    return CanaryRun.objects.create(**{"started_at": START, **values})


def make_canary(**values: Any) -> Call:
    """Creates a canary call with its run, and a track of noise."""
    call = make_call(make_run().call_connection_id, **values)
    make_segment(make_participant(call, ALICE), at=0.0, samples=noise(0.5))
    return call
