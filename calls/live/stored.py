"""Live calls and recorders in the database: the basis of first paint and snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.db.models.functions import Now

from calls.live.messages import CallData, RecorderState
from calls.models import Call, Participant, RecorderProcess, RefusedHandshake, database_now
from calls.serializers import CallSerializer
from calls.times import iso_text

MAX_PROCESSES = 100
HOUR = timedelta(hours=1)
MAX_REFUSALS = 2_000
"""Rows of refusals that are added up: in a flood there are more, and the number is too low."""

NAMED_WITHIN = timedelta(seconds=20)
"""Several times the interval at which dashboards ask: a transaction may commit late."""
MAX_NAMES = 1_000


def stored_live_calls(now: datetime | Now) -> list[CallData]:
    """Returns the live calls, newest first, with canary calls. Raises `django.db.Error` if the
    database is unreachable.
    """
    calls = Call.objects.for_rest(now).live(now).order_by("-started_at", "-id")
    return [cast("CallData", dict(call)) for call in CallSerializer(calls, many=True).data]


def recent_names() -> list[tuple[str, str, str]]:
    """Returns call, participant and name of participants that were named in the last
    `NAMED_WITHIN`, for `LiveView.rename`. Raises `django.db.Error` if the database is unreachable.
    """
    named = Participant.objects.filter(named_at__gt=database_now() - NAMED_WITHIN).order_by(
        "named_at"
    )
    rows = named.values_list("call_id", "id", "display_name")[:MAX_NAMES]
    return [(str(call), str(participant), name) for call, participant, name in rows]


def recorder_rows() -> list[RecorderProcess]:
    """Returns all recorders. Raises `django.db.Error` if the database is unreachable."""
    return list(RecorderProcess.objects.all()[:MAX_PROCESSES])


def recorder_state(now: datetime, rows: Sequence[RecorderProcess] | None = None) -> RecorderState:
    """Returns the state of all recorders. `now`: the time of this host; `rows`: those of
    `recorder_rows`, if they have been read. Raises `django.db.Error` if the database is
    unreachable.
    """
    rows = recorder_rows() if rows is None else rows
    silent = [row for row in rows if row.is_silent(now)]
    # The row of an older version stays when its process is stopped, so it proves nothing.
    says_goodbye = [row for row in silent if row.refusals is not None]
    missing = [row.seen_at for row in says_goodbye if not _is_replaced(row, rows)]
    refused = {
        side: sum((Counter((row.refusals or {}).get(side, {})) for row in rows), Counter())
        for side in ("from_acs", "others")
    }
    for reason, from_acs, count in _refused_elsewhere(rows, now):
        refused["from_acs" if from_acs else "others"][reason] += count
    return {
        "reporting": len(rows) - len(silent),
        "silent_since": iso_text(min(missing)) if missing else None,
        "unseen": _unseen(rows, now),
        "refused": {"from_acs": dict(refused["from_acs"]), "others": dict(refused["others"])},
    }


def _refused_elsewhere(
    recorders: Sequence[RecorderProcess], now: datetime
) -> list[tuple[str, bool, int]]:
    """Returns the refusals of the last hour by processes without a recorder, which have rows only:
    reason, whether from ACS, count. A recorder that was stopped is one of them. Index:
    refusal_last_at.
    """
    rows = RefusedHandshake.objects.filter(last_at__gt=now - HOUR)
    others = rows.exclude(process__in=[row.pk for row in recorders]).order_by("-last_at")
    return list(others.values_list("reason", "from_acs", "count")[:MAX_REFUSALS])


def _unseen(rows: Sequence[RecorderProcess], now: datetime) -> int:
    """Returns the number of recorders other than this process if it has no Redis: the channel layer
    is then in its memory. One that was killed may look alive, until its successor is known.
    """
    if settings.REDIS_URL:
        return 0
    alive = [row for row in rows if not row.is_silent(now) and not _is_replaced(row, rows)]
    return max(len(alive) - (settings.ROLE != "web"), 0)


def _is_replaced(row: RecorderProcess, rows: Sequence[RecorderProcess]) -> bool:
    """Whether another process has been started on its host since it was last heard of."""
    others = (other for other in rows if other.host == row.host and other != row)
    return any(other.started_at >= row.seen_at for other in others)
