"""Periodic jobs: when each one ran, and what went wrong. Read only."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.utils import timezone

from calls.admin import display
from calls.admin.records import RecordAdmin
from calls.admin.search import TermSearch
from calls.models import JobLease


@admin.register(JobLease)
class JobLeaseAdmin(RecordAdmin):
    search = TermSearch(ids=(), whole=("name",))
    ordering = ("name",)
    list_display = ("name", "ran", "due", "state", "error")
    fields = ("name", "ran", "due", "state", "holder", "error", "position")

    @admin.display(description="Last run")
    def ran(self, job: JobLease) -> str:
        return display.moment(job.ran_at)

    @admin.display(description="Next run")
    def due(self, job: JobLease) -> str:
        return display.moment(job.due_at)

    @admin.display(description="State")
    def state(self, job: JobLease) -> str:
        return _state_of(job, timezone.now())

    @admin.display(description="Error of the last run")
    def error(self, job: JobLease) -> str:
        return display.isolated(job.last_error) if job.last_error else display.NOTHING


def _state_of(job: JobLease, now: datetime) -> str:
    if job.expires_at is None:
        return "waiting"
    return "running" if job.expires_at > now else "its process has died"
