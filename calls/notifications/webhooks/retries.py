"""Times of repeated deliveries: longer and longer pauses, with jitter. PURE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 10.0
FACTOR = 3.0
LONGEST_SECONDS = 1800.0
JITTER = 0.2
"""Part of a pause by which it is shorter or longer, so that endpoints of one receiver that failed
together are not tried together.
"""

LONGEST_RETRY_AFTER_SECONDS = 6 * 3600.0


def pause_seconds(failures: int, random: float, asked_seconds: float = 0.0) -> float:
    """Returns the seconds until the next attempt, after `failures` (1 or more) in a row.

    `random`: from 0 to 1. `asked_seconds`: Retry-After; the pause is at least that long, up to
    `LONGEST_RETRY_AFTER_SECONDS`.
    """
    exponent = min(failures, 20) - 1
    pause = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR**exponent)
    jittered = pause * (1 + JITTER * (2 * random - 1))
    return max(jittered, min(asked_seconds, LONGEST_RETRY_AFTER_SECONDS))


def retry_after_seconds(header: str, now: datetime) -> float:
    """Returns the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3): a number
    or a date. 0.0 if it is missing, past, or neither.
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    if at.tzinfo is None:  # "-0000": UTC
        at = at.replace(tzinfo=UTC)
    return max(timedelta(), at - now).total_seconds()
