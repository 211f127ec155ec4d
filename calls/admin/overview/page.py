"""`/admin/overview/`: recorders, seal lag, failed jobs, storage and settings on one page, in a
constant number of queries.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from calls.admin.overview import sizes
from calls.admin.overview.configuration import groups
from calls.live.messages import RecorderState
from calls.live.stored import recorder_rows, recorder_state
from calls.models import DiscardedAudio, FailedJournal, RecorderProcess
from calls.search import uuid_in
from calls.storage import deletion
from calls.wording import REFUSALS

SEE, RETRY, SWEEP = "calls.view_recorderprocess", "calls.change_failedjournal", "calls.delete_call"
BEHIND_SEGMENTS = 6
"""As in the alarm `sealing_behind` (streams/live/alarm_rules.py), so that page and dashboard
agree.
"""
MAX_FAILED = 20
MAX_COUNTED = 10_000


@dataclass(frozen=True)
class Disk:
    name: str
    path: str
    free_bytes: int = 0
    total_bytes: int = 0
    is_low: bool = False
    error: str = ""
    """Reason if its usage cannot be read."""


@require_safe
@permission_required(SEE, raise_exception=True)
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    tables, recorders = sizes.tables(), recorder_rows()
    failed = list(FailedJournal.objects.all()[: MAX_FAILED + 1])
    context = {
        **admin.site.each_context(request),
        "title": "Overview",
        "processes": list(_processes(recorders, now)),
        "unseen": (state := recorder_state(now, recorders))["unseen"],
        "refused": _refused(state),
        "failed": failed[:MAX_FAILED],
        "has_more_failed": len(failed) > MAX_FAILED,
        "discarded": _discarded(),
        "most_counted": MAX_COUNTED,
        "may_retry": request.user.has_perm(RETRY),
        "may_sweep": request.user.has_perm(SWEEP),
        "database_bytes": sizes.database_bytes(),
        "tables": tables,
        "audio": sizes.audio(tables),
        "store": settings.AUDIO_STORE,
        "disks": list(_disks()),
        "settings": groups(),
    }
    return TemplateResponse(request, "admin/overview.html", context)


@require_POST
@permission_required(RETRY, raise_exception=True)
def retry(request: HttpRequest) -> HttpResponse:
    """Requests a retry of failed journals from the recorders: one (`journal=<id>`), or all."""
    text = request.POST.get("journal", "")
    journal_id = uuid_in(text)
    if text and journal_id is None:
        return HttpResponseBadRequest("journal: must be a UUID", content_type="text/plain")
    rows = FailedJournal.objects.all()
    if journal_id:
        rows = rows.filter(pk=journal_id)
    count = rows.update(retry_asked_at=timezone.now())
    journals = "1 journal" if count == 1 else f"{count} journals"
    messages.success(
        request, f"{journals} will be retried within seconds. Once sealed, they leave the list."
    )
    return redirect("admin-overview")


@require_POST
@permission_required(SWEEP, raise_exception=True)
def sweep(request: HttpRequest) -> HttpResponse:
    """Removes objects of deleted calls for some seconds; the rest is left to the next sweep."""
    deletion.sweep_after_commit()
    remaining = _discarded()
    if remaining:
        messages.warning(request, f"{remaining} not removed yet: see the log.")
    else:
        messages.success(request, "Removed.")
    return redirect("admin-overview")


def _processes(rows: Iterable[RecorderProcess], now: datetime) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {
            "row": row,
            "is_silent": row.is_silent(now),
            "is_behind": row.seal_lag_seconds > BEHIND_SEGMENTS * settings.SEGMENT_SECONDS,
            "failures": ", ".join(f"{n} {stage}" for stage, n in row.failures.items() if n),
        }


def _refused(state: RecorderState) -> list[tuple[str, int, int]]:
    """Returns reason, number from ACS and number from others, for each reason of the last hour."""
    refused = state["refused"]
    from_acs, others = refused["from_acs"], refused["others"]
    found = [
        (REFUSALS.get(reason, reason), from_acs.get(reason, 0), others.get(reason, 0))
        for reason in from_acs | others
    ]
    return sorted(found, key=lambda row: row[1:], reverse=True)


def _discarded() -> int:
    """Counts up to the limit that the page shows."""
    return DiscardedAudio.objects.all()[: MAX_COUNTED + 1].count()


def _disks() -> Iterator[Disk]:
    """Disks of the host that serves the page; recorders on other hosts report theirs in
    /metrics.
    """
    folders = {"Data": settings.DATA_DIR}
    if settings.AUDIO_STORE == "files":
        folders["Audio"] = settings.AUDIO_DIR
    for name, path in folders.items():
        # The closest parent if the folder has not been created yet.
        existing = next((folder for folder in (path, *path.parents) if folder.exists()), path)
        try:
            usage = shutil.disk_usage(existing)
        except OSError as error:
            yield Disk(name, str(path), error=error.strerror or type(error).__name__)
        else:
            is_low = usage.free < settings.MIN_FREE_DISK_MB * 1_000_000
            yield Disk(name, str(path), usage.free, usage.total, is_low)
