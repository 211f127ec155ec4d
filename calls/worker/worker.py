"""The thread that runs the periodic jobs which are due, unless another process holds their lease.

    jobs that are due (one query) ──▶ has work? ──▶ lease taken (a row) ──▶ run
                                  ──▶ next time written, lease given back

A process that dies keeps its lease until it has run out: `LEASE` later another one goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from uuid import UUID, uuid4

import structlog
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models import Q
from django.db.models.functions import Now

from calls.models import JobLease, database_now
from calls.storage import cause_of
from calls.worker.jobs import JOBS, MAX_SECONDS, Job

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
LATE_SECONDS = 10.0
"""A round of jobs that takes longer delays the others noticeably: mails wait as long."""

LEASE = timedelta(seconds=2 * MAX_SECONDS)
"""A job that takes longer than it may could run in two processes at once."""


class Worker:
    """`start` it once per process; `stop` lets the current job end without waiting for it."""

    def __init__(self, jobs: Iterable[Job] = JOBS) -> None:
        self._jobs = tuple(jobs)
        self._holder = uuid4()
        self._has_rows = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            self.run_due()
            connections.close_all()

    def run_due(self) -> list[str]:
        """Runs the jobs that are due and that no other process runs; returns their names.

        Makes one query while none is due. Never raises for an error of the database or of a job: it
        is logged.
        """
        began, took = time.monotonic(), {}
        for job in self._due():
            if self._stopping.is_set():
                break
            started = time.monotonic()
            if self._run_if_free(job):
                took[job.name] = time.monotonic() - started
        if (seconds := time.monotonic() - began) > LATE_SECONDS and took:
            slowest = max(took, key=took.__getitem__)
            log.warning("jobs delayed", seconds=round(seconds, 1), slowest=slowest)
        return list(took)

    def _due(self) -> Sequence[Job]:
        try:
            if not self._has_rows:
                rows = [JobLease(name=job.name) for job in self._jobs]
                JobLease.objects.bulk_create(rows, ignore_conflicts=True)
                self._has_rows = True
            return due_among(self._jobs)
        except DatabaseError as error:
            log.warning("jobs delayed", error=cause_of(error))
            return ()

    def _run_if_free(self, job: Job) -> bool:
        """Runs the job if it has work and no other process runs it; says whether it has run."""
        try:
            if not job.has_work() or not take(job, self._holder):
                return False
            give_back(job, self._holder, self._attempt(job))
        except DatabaseError as error:
            log.warning("job delayed", job=job.name, error=cause_of(error))
            return False
        except Exception:  # a fault of `has_work` must not end the thread
            log.exception("job failed", job=job.name)
            return False
        return True

    def _attempt(self, job: Job) -> str:
        """Runs the job; returns its error, which has been logged."""
        try:
            job.run(self._stopping)
        except (OSError, DatabaseError) as error:
            log.warning("job failed", job=job.name, error=cause_of(error))
            return cause_of(error)
        except Exception as error:  # a fault of one job must not end the others
            log.exception("job failed", job=job.name)
            return f"{type(error).__name__}: {error}"[:200]
        return ""


def due_among(jobs: Sequence[Job]) -> list[Job]:
    """Returns the jobs that are due and that no process holds, in one query."""
    now = database_now()
    free = reduce(or_, (_free(now, job) for job in jobs))
    due = set(JobLease.objects.filter(free).order_by().values_list("name", flat=True))
    return [job for job in jobs if job.name in due]


def take(job: Job, holder: UUID) -> bool:
    """Takes the lease of a job that is due; False if another process holds it, or it is not due."""
    now = database_now()
    return bool(
        JobLease.objects.filter(_free(now, job)).update(holder=holder, expires_at=now + LEASE)
    )


def give_back(job: Job, holder: UUID, error: str) -> None:
    """Writes when the job runs next, and gives its lease back.

    Changes nothing if the lease has run out and another process has taken it.
    """
    now = database_now()
    JobLease.objects.filter(name=job.name, holder=holder).update(
        holder=None,
        expires_at=None,
        ran_at=now,
        due_at=now + _interval(job),
        last_error=error,
    )


def _free(now: datetime | Now, job: Job) -> Q:
    """Selects the row of a job that is due and that no process holds. A moment that is further in
    the future than it is ever written shows that the clock was set back: it does not count.
    """
    is_free = Q(expires_at=None) | Q(expires_at__lt=now) | Q(expires_at__gt=now + LEASE)
    is_due = Q(due_at=None) | Q(due_at__lte=now) | Q(due_at__gt=now + _interval(job))
    return is_free & is_due & Q(name=job.name)


def _interval(job: Job) -> timedelta:
    return timedelta(seconds=job.every_seconds)
