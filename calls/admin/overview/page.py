"""`/admin/overview/`: how the installation is, on one page, in a handful of queries.

Who records, how far sealing is behind, what has failed and may be tried again, how much there is,
and how it is set.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
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
from calls.models import DiscardedAudio, FailedJournal, RecorderProcess
from calls.search import uuid_in
from calls.storage import deletion

SEE, RETRY, FORGET = "calls.view_recorderprocess", "calls.change_failedjournal", "calls.delete_call"
SILENT_AFTER = timedelta(seconds=30)
"""A process says of itself every five seconds."""
BEHIND_SEGMENTS = 6
"""As the alarm `sealing_behind` (streams/live/alarm_rules.py), so that page and dashboard say the
same.
"""
MAX_FAILED = 20
MAX_PROCESSES = 100
MAX_COUNTED = 10_000


@dataclass(frozen=True)
class Disk:
    what: str
    path: str
    free_bytes: int = 0
    total_bytes: int = 0
    is_low: bool = False
    error: str = ""
    """Why it cannot be looked at."""


@require_safe
@permission_required(SEE, raise_exception=True)
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    tables = sizes.tables()
    failed = list(FailedJournal.objects.all()[: MAX_FAILED + 1])
    context = {
        **admin.site.each_context(request),
        "title": "Overview",
        "processes": [
            _said_of(process, now) for process in RecorderProcess.objects.all()[:MAX_PROCESSES]
        ],
        "failed": failed[:MAX_FAILED],
        "has_more_failed": len(failed) > MAX_FAILED,
        "discarded": _discarded(),
        "most_counted": MAX_COUNTED,
        "may_retry": request.user.has_perm(RETRY),
        "may_sweep": request.user.has_perm(FORGET),
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
    """Asks the recorders to try failed journals again: one (`journal=<id>`), or all of them."""
    wanted = request.POST.get("journal", "")
    journal_id = uuid_in(wanted)
    if wanted and journal_id is None:
        return HttpResponseBadRequest("journal: no UUID", content_type="text/plain")
    rows = (
        FailedJournal.objects.filter(pk=journal_id) if journal_id else FailedJournal.objects.all()
    )
    asked = rows.update(retry_asked_at=timezone.now())
    said = "1 journal is" if asked == 1 else f"{asked} journals are"
    messages.success(
        request, f"{said} tried again within seconds; what is sealed goes from the list."
    )
    return redirect("admin-overview")


@require_POST
@permission_required(FORGET, raise_exception=True)
def sweep(request: HttpRequest) -> HttpResponse:
    """Removes objects of deleted calls now, for some seconds; what is left then is for the next
    sweep.
    """
    deletion.sweep_after_commit()
    left = _discarded()
    level, said = (
        (messages.WARNING, f"{left} are left: see the log.")
        if left
        else (messages.SUCCESS, "Removed.")
    )
    messages.add_message(request, level, said)
    return redirect("admin-overview")


def _discarded() -> int:
    """Counted as far as the page says it."""
    return DiscardedAudio.objects.all()[: MAX_COUNTED + 1].count()


def _said_of(process: RecorderProcess, now: datetime) -> dict[str, Any]:
    return {
        "row": process,
        "is_silent": process.seen_at < now - SILENT_AFTER,
        "is_behind": process.seal_lag_seconds > BEHIND_SEGMENTS * settings.SEGMENT_SECONDS,
        "failures": ", ".join(
            f"{count} {stage}" for stage, count in process.failures.items() if count
        ),
    }


def _disks() -> Iterator[Disk]:
    """Of the host that answers: where pages and recorders are apart, /metrics of the recorders
    tells of theirs.
    """
    places = {"Data": settings.DATA_DIR}
    if settings.AUDIO_STORE == "files":
        places["Audio"] = settings.AUDIO_DIR
    for what, path in places.items():
        try:
            usage = shutil.disk_usage(_there(path))
        except OSError as error:
            yield Disk(what, str(path), error=error.strerror or type(error).__name__)
        else:
            is_low = usage.free < settings.MIN_FREE_DISK_MB * 1_000_000
            yield Disk(what, str(path), usage.free, usage.total, is_low)


def _there(path: Path) -> Path:
    """The folder, or the one in which it will be made."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), path)
