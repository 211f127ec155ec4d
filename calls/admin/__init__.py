"""The admin: find a call, hear it, see what is missing, export it, delete it with its audio.

Records are made by the recorder, so nothing can be added or changed here, and only a call can be
deleted.

    records.py        what all pages have in common: read-only, bounded, searchable
    search.py         a term -> rows, by index first
    filters.py        state, kind, span of time, "only of this call"
    pagination.py     counts that end at ten thousand
    display.py        moments, durations, sizes and identities as HTML
    recording.py      players and links to the export
    overview.py       how the installation is; configuration.py: how it is set
    call.py           calls, with call_deletion.py; the other four: participant, subscription,
    segment, ledger
"""

from __future__ import annotations

from django.contrib import admin

from calls.admin import call, ledger, participant, segment, subscription

__all__ = ["call", "ledger", "participant", "segment", "subscription"]

admin.site.site_header = admin.site.site_title = "acsmedia"
admin.site.index_title = "Records and accounts"
admin.site.site_url = "/"  # "View site" leads to the live dashboard
