"""Limits of what other systems may state about a call. PURE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MAX_ID = 256
MAX_PARTICIPANTS = 10_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

AHEAD = timedelta(days=1)
"""Times may be this much in the future: calls are announced, and clocks are wrong."""

LONGEST_CALL = timedelta(days=7)
"""A longer call is a mistake, such as a wrong day or milliseconds for seconds: one of them would
be more missing time than all other calls of a year together.
"""
