"""The job that judges calls: a while after they have ended, and again when something comes late.

`CallCoverage.due_at` is the queue: witnesses set it (`due`), this job clears it. Each call is
judged in a transaction of its own, which locks its row: so the job may stop or be repeated at any
time, and two processes do no harm. Calls that were recorded before there was coverage are put into
the queue slowly, the newest first.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils import timezone

from calls.coverage.job import alarm, verdicts
from calls.coverage.job.joining import join
from calls.coverage.job.loading import Loaded, load, stated_end
from calls.coverage.job.older_calls import add_older_calls
from calls.coverage.judging.reconciliation import reconcile
from calls.models import HEARTBEAT_TIMEOUT, CallCoverage, CallSealDue, database_now

log = structlog.get_logger(__name__)

RUN_SECONDS = 3.0
"""Longest run: meanwhile other jobs wait, such as webhooks, which are due each second."""

BATCH = 50
OLDER_PAUSE_SECONDS = 0.05
"""Between two calls from before the coverage: at most 20 a second."""

LIVE_CHECK = timedelta(minutes=10)
"""How often a call that lasts is read again. Its end puts it into the queue by itself."""

PATIENCE = timedelta(minutes=15)
"""From the last sign of a call until it is judged without its end: `CallDisconnected` may be late,
and a host that has died may be replaced by one that seals its journals.
"""

UNSEALED_CHECK = timedelta(minutes=1)
LONGEST_CHECK = timedelta(days=1)
GIVEN_UP = timedelta(days=60)
"""Age of a call whose journals are not looked for any more: its host is lost."""

TODAY = timedelta(days=1)
FAULT_PAUSE = timedelta(hours=1)


def run(stopping: Event) -> None:
    """Judges calls that are due, for a while. A job."""
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until and not stopping.is_set():
        rows = _due_rows()
        for coverage_id, notify in rows:
            _judge_safely(coverage_id)
            if (not notify and stopping.wait(OLDER_PAUSE_SECONDS)) or time.monotonic() > until:
                break
        if len(rows) < BATCH:
            break
    if not stopping.is_set():
        if not _due_rows():
            add_older_calls()
        alarm.report(timezone.now())


def judge(coverage_id: UUID, now: datetime) -> bool:
    """Judges one call if it is due and can be judged; says whether its verdict is a new one."""
    with transaction.atomic():
        if join(coverage_id, now):
            return False
        rows = CallCoverage.objects.filter(id=coverage_id, due_at__lte=database_now())
        # One that another process judges is skipped.
        has_skip = connection.features.has_select_for_update_skip_locked
        row = rows.select_for_update(skip_locked=has_skip, no_key=True).first()
        if row is None:
            return False
        loaded = load(row)
        if _has_lost_witnesses(row, loaded):
            CallCoverage.objects.filter(id=row.id).update(due_at=None)
            return False
        if (later := check_again_at(loaded, now)) is not None:
            CallCoverage.objects.filter(id=row.id).update(due_at=later)
            return False
        return _write(row, loaded, now)


def check_again_at(loaded: Loaded, now: datetime) -> datetime | None:
    """Returns when to read a call again that cannot be judged yet; None if it can be judged."""
    delay = timedelta(seconds=settings.COVERAGE_DELAY_SECONDS)
    unfinished = [one for one in loaded.sockets if one.ended_at is None]
    if any(now - one.seen_at < HEARTBEAT_TIMEOUT for one in unfinished):
        return now + LIVE_CHECK
    if any(now - one.seen_at < PATIENCE for one in unfinished):
        return now + UNSEALED_CHECK
    history = loaded.history
    if loaded.events and history and history.disconnected_at is None:
        sign = _last_sign(loaded)
        if now - sign < PATIENCE:
            return min(sign + PATIENCE, now + PATIENCE)
    ends = [one.ended_at for one in loaded.sockets] + [stated_end(one) for one in loaded.statements]
    if history and loaded.last_received_at and history.disconnected_at:
        # not after it was received: the clock of ACS may be ahead
        ends.append(min(history.disconnected_at, loaded.last_received_at))
    end = max((one for one in ends if one), default=None)
    if end is None or now - end >= delay:
        return None
    is_soon = end - now < timedelta(minutes=1)  # else it is an appointment
    return min(end + delay, now + delay) if is_soon else end + delay


def _last_sign(loaded: Loaded) -> datetime:
    """Returns when something was last received of a call that may go on."""
    assert loaded.last_received_at, "it has events"
    return max([loaded.last_received_at, *(one.ended_at or one.seen_at for one in loaded.sockets)])


def _due_rows() -> list[tuple[UUID, bool]]:
    """Returns ids of calls that are due, and whether others are notified: those of today first,
    because an import may mark the calls of a year.
    """
    due_now = CallCoverage.objects.filter(due_at__lte=database_now())
    rows = due_now.order_by("-notify", "due_at").values_list("id", "notify")
    since = timezone.now() - TODAY
    found = list(rows.filter(started_at__gt=since)[:BATCH])
    if len(found) < BATCH:
        found += rows.filter(started_at__lte=since)[: BATCH - len(found)]
    return found


def _judge_safely(coverage_id: UUID) -> None:
    """Judges a call. A fault of one call must not keep the others from being judged."""
    try:
        judge(coverage_id, timezone.now())
    except DatabaseError:
        raise
    except Exception:
        log.exception("call not judged", coverage=str(coverage_id))
        later = database_now() + FAULT_PAUSE
        CallCoverage.objects.filter(id=coverage_id).update(due_at=later)


def _has_lost_witnesses(row: CallCoverage, loaded: Loaded) -> bool:
    """Whether rows have been deleted that a verdict was based on, such as recordings, or events
    that are kept for a month: the verdict stays, because the rest would lead to another one.
    """
    known = {"recordings": 1 if row.call_id else 0, **row.facts.get("rows", {})}
    known["recordings"] = row.facts.get("recordings", known["recordings"])
    return any(loaded.counts[kind] < count for kind, count in known.items())


def _write(row: CallCoverage, loaded: Loaded, now: datetime) -> bool:
    ends = [one.ended_at or one.seen_at for one in loaded.sockets]
    judgement = reconcile(loaded.witnesses(until=max([row.started_at, *ends])))
    if judgement is None and row.judged_at:
        CallCoverage.objects.filter(id=row.id).update(due_at=None)  # a verdict is never deleted
        return False
    if judgement is None:
        row.delete()  # no call: it rang, and nobody answered
        return False
    row.due_at = _unsealed_check(loaded, now)
    is_new = verdicts.write(row, judgement, loaded, now)
    if row.facts["is_sealed"] and loaded.call_ids:
        CallSealDue.objects.mark(loaded.call_ids)  # its evidence, or a new version of it
    return is_new


def _unsealed_check(loaded: Loaded, now: datetime) -> datetime | None:
    """Returns when to look again for audio that is not sealed; None if all of it is."""
    unsealed = [one for one in loaded.sockets if one.ended_at is None or not one.is_whole]
    if not unsealed:
        return None
    age = now - max(one.ended_at or one.seen_at for one in unsealed)
    if age > GIVEN_UP:
        return None
    return now + min(max(age / 4, UNSEALED_CHECK), LONGEST_CHECK)
