"""Factories: canary calls with their runs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from calls.models import Call, CanaryRun
from tests.calls.rows import ALICE, START, make_call, make_participant, make_segment, noise


def make_canary(**values: Any) -> Call:
    """Creates a canary call with its run, and a track of noise."""
    run = CanaryRun.objects.create(
        call_connection_id=f"canary-{uuid4()}", started_at=START, outcome="passed"
    )
    call = make_call(run.call_connection_id, **values)
    make_segment(make_participant(call, ALICE), at=0.0, samples=noise(0.5))
    return call
