"""Causes of missing audio by the events of ACS. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from calls.coverage.acs_events import UNSPECIFIED, Span
from calls.coverage.judging.missing_time import MARGIN_US

MARGIN = timedelta(microseconds=MARGIN_US)


def cause_of(interruptions: Iterable[Span], started_at: datetime, ended_at: datetime | None) -> str:
    """Returns the reason of the interruption that covers a gap, a key of STREAMING_DETAILS or as
    ACS sent it; "" if there is none. Of several, the first that has a reason.
    """
    reasons = [
        one.reason
        for one in interruptions
        if one.started_at - MARGIN <= started_at
        and (one.ended_at is None or (ended_at is not None and ended_at <= one.ended_at + MARGIN))
    ]
    named = [reason for reason in reasons if reason != UNSPECIFIED]
    return (named or reasons or [""])[0]
