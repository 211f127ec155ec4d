"""The thread that runs the periodic jobs which are due, unless another process holds their lease.

    due ──▶ lease taken (a row) ──▶ run ──▶ next time written, lease given back

A process that dies keeps its lease until it has run out: `LEASE_SECONDS` later another one goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models import Q

from calls.models import JobLease, database_now
from calls.storage import cause_of
from calls.worker.jobs import JOBS, MAX_SECONDS, Job

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
LEASE_SECONDS = 2 * MAX_SECONDS
"""A job that takes longer than it may could run in two processes at once."""


class Worker:
    """`start` it once per process; `stop` lets the current job end without waiting for it."""

    def __init__(self, jobs: Iterable[Job] = JOBS) -> None:
        self._jobs = tuple(jobs)
        self._holder = uuid4()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            for job in self._jobs:
                if self._stopping.is_set():
                    return
                self.run_if_due(job)
            connections.close_all()

    def run_if_due(self, job: Job) -> bool:
        """Runs the job if it is due and no other process runs it; says whether it has run.

        Never raises for an error of the job: it is logged, and kept in the row.
        """
        try:
            if not take(job.name, self._holder):
                return False
            error = self._attempt(job)
            give_back(job.name, self._holder, job.every_seconds, error)
        except DatabaseError as error:
            log.warning("job delayed", job=job.name, error=cause_of(error))
            return False
        return True

    def _attempt(self, job: Job) -> str:
        try:
            job.run(self._stopping)
        except (OSError, DatabaseError) as error:
            log.warning("job failed", job=job.name, error=cause_of(error))
            return cause_of(error)
        except Exception as error:  # a fault of one job must not end the others
            log.exception("job failed", job=job.name)
            return f"{type(error).__name__}: {error}"[:200]
        return ""


def take(name: str, holder: UUID) -> bool:
    """Takes the lease of a job that is due; False if another process holds it, or it is not due."""
    now = database_now()
    JobLease.objects.bulk_create([JobLease(name=name)], ignore_conflicts=True)
    free = Q(expires_at=None) | Q(expires_at__lt=now)
    due = Q(due_at=None) | Q(due_at__lte=now) | Q(due_at__gt=now + timedelta(days=1))
    until = now + timedelta(seconds=LEASE_SECONDS)
    return bool(
        JobLease.objects.filter(free & due, name=name).update(holder=holder, expires_at=until)
    )


def give_back(name: str, holder: UUID, every_seconds: float, error: str) -> None:
    """Writes when the job runs next, and gives its lease back."""
    now = database_now()
    JobLease.objects.filter(name=name, holder=holder).update(
        holder=None,
        expires_at=None,
        ran_at=now,
        due_at=now + timedelta(seconds=every_seconds),
        last_error=error,
    )
