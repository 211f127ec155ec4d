"""The admin: finding calls, playing and exporting them, checking gaps, deleting calls with audio.

Records are created by the recorder, so none can be added or changed here, and only calls can be
deleted.

    records.py        base classes: read-only, bounded, searchable
    search.py         search terms -> rows, by index first
    filters.py        filters by state, kind, days and related record
    pagination.py     counts limited to ten thousand
    display.py        times, durations, sizes and identities as HTML
    recording.py      players and links to the export
    accounts/         users, groups and tokens
    overview/         health of the installation, failed jobs, storage and settings
    coverage/         refused handshakes, events of ACS, answered calls, canary runs
    notifications/    webhook endpoints, events, deliveries, alarms, periodic jobs
    call.py           calls, with call_deletion.py; likewise participant.py, subscription.py,
                      segment.py and ledger.py
"""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse_lazy

from calls.admin import call, ledger, participant, segment, subscription
from calls.admin.accounts import tokens, users
from calls.admin.coverage import answered, canary, event, refusal
from calls.admin.notifications import endpoint, jobs, records
from calls.admin.retention import hold

__all__ = [
    "answered",
    "call",
    "canary",
    "endpoint",
    "event",
    "hold",
    "jobs",
    "ledger",
    "participant",
    "records",
    "refusal",
    "segment",
    "subscription",
    "tokens",
    "users",
]

admin.site.site_header = admin.site.site_title = "acsmedia"
admin.site.index_title = "Records and accounts"
admin.site.site_url = reverse_lazy("dashboard")  # type: ignore[assignment] # of "View site"
