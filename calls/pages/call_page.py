"""The page of one call: lanes, player and facts (docs/calls.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required, permission_required
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calls.export.formats import FORMATS
from calls.models import Call, LedgerEntry, Segment
from calls.pages.timeline import seconds_after, timeline_of
from calls.permissions import EXPORT, HEAR, LISTEN, SEE
from calls.serializers import CallSerializer
from calls.wording import close_text, event_text

ENTRIES = 100
"""Of the ledger, until somebody wants all."""
MAX_ENTRIES = 5_000

LISTENS_FOR = timedelta(seconds=12)
"""Who listens writes so every 5 s (calls/listen/consumer.py); whoever has not for so long is
gone.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger as the page shows it; `at` in seconds from the first sample, for a link
    into the lanes.
    """

    kind: str
    kind_words: str
    words: str
    at: float
    started_at: datetime
    seconds: float | None
    whose: str


@never_cache
@require_safe
@login_required
@permission_required(SEE, raise_exception=True)
def call_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """All of the page, or with `?part=facts` what changes while a call is live."""
    is_part = request.GET.get("part") == "facts"
    template = "calls/_call_facts.html" if is_part else "calls/call.html"
    return render(request, template, _context(request, pk))


@never_cache
@require_safe
@login_required
@permission_required(SEE, raise_exception=True)
def call_timeline(_request: HttpRequest, pk: UUID) -> HttpResponse:
    return JsonResponse(timeline_of(_call_of(Call.objects.with_state(timezone.now()), pk)))


def _context(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    now = timezone.now()
    row = _call_of(Call.objects.for_rest(now).with_audio_extent(), pk)
    call = dict(CallSerializer(row).data)
    wanted = MAX_ENTRIES if request.GET.get("ledger") == "all" else ENTRIES
    entries = LedgerEntry.objects.filter(call=row).select_related("participant")
    shown = list(entries[: wanted + 1])
    return {
        "call": call,
        "row": row,
        "participants": _with_tracks(row, call["participants"]),
        "subscriptions": [
            {**each, "closed_words": close_text(each["close_code"])}
            for each in call["subscriptions"]
        ],
        "entries": [
            _entry(entry, row.audio_started_at or row.started_at) for entry in shown[:wanted]
        ],
        "has_more_entries": len(shown) > wanted,
        "most_entries": wanted,
        "is_begun": wanted == ENTRIES,
        "listeners": _listeners(row, now) if row.state == "live" else [],
        "formats": list(FORMATS),
        "ids": [
            ("Call connection id", call["call_connection_id"]),
            ("Correlation id", call["correlation_id"]),
            ("Id here", call["id"]),
        ],
        "may_hear": request.user.has_perm(HEAR),
        "may_listen": call["state"] == "live" and request.user.has_perm(LISTEN),
        "may_export": request.user.has_perms([HEAR, EXPORT]),
    }


def _call_of(calls: QuerySet[Call], pk: UUID) -> Any:
    try:
        return calls.get(pk=pk)
    except Call.DoesNotExist:
        raise Http404("No call has this id. Its recording may have been deleted.") from None


def _listeners(call: Call, now: datetime) -> list[str]:
    """Names of those who listen in, each once."""
    listening = LedgerEntry.objects.filter(
        call=call, kind=LedgerEntry.Kind.LISTENING, ended_at__gt=now - LISTENS_FOR
    )
    return sorted(
        {
            str(detail.get("user", "somebody"))
            for detail in listening.values_list("detail", flat=True)
        }
    )


def _with_tracks(call: Call, participants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Participants as in REST, and what is stored of each."""
    segments = Segment.objects.filter(participant__call=call).order_by().values("participant_id")
    rows = segments.annotate(segments=Count("*"), stored_bytes=Sum("stored_bytes"))
    tracks = {str(row["participant_id"]): row for row in rows}
    nothing = {"segments": 0, "stored_bytes": 0}
    return [{**each, **tracks.get(str(each["id"]), nothing)} for each in participants]


def _entry(entry: LedgerEntry, zero: datetime) -> Entry:
    length = (entry.ended_at - entry.started_at).total_seconds() if entry.ended_at else None
    return Entry(
        kind=entry.kind,
        kind_words=entry.get_kind_display(),
        words=event_text(entry.kind, entry.reason, entry.detail),
        at=max(0.0, seconds_after(zero, entry.started_at)),
        started_at=entry.started_at,
        seconds=length,
        whose=entry.participant.label if entry.participant else "",
    )
