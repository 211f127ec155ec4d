"""The page of one call: timeline, player and details (docs/calls.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from calls.coverage.acs_events import CallHistory
from calls.coverage.causes import cause_of
from calls.coverage.history import history
from calls.export.formats import FORMATS, Format
from calls.models import Call, LedgerEntry, Segment, database_now
from calls.pages.coverage.axis import events_of, with_witnesses
from calls.pages.coverage.call import coverage_context
from calls.pages.decorators import page
from calls.pages.events import Event, folded
from calls.pages.timeline import seconds_after, timeline_of
from calls.permissions import LISTEN, TO_LISTEN, TO_SEE, missing, to_get_audio
from calls.serializers import CallSerializer
from calls.storage.holds import holds_on
from calls.wording import close_text, event_text, gap_text

LINES = 100
"""Lines of events shown at first; "Show more" leads to all of them."""
MAX_ENTRIES = 5_000
"""Most events of the page; the others are in the admin."""

LISTENER_TIMEOUT = timedelta(seconds=12)
"""A listener's event is extended every 5 s (calls/listen/consumer.py); one that has not been for
this long has left.
"""


@page(TO_SEE)
def call_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; with `?part=facts` only the part that changes while a call is live."""
    now = timezone.now()
    row = _call_of(Call.objects.for_rest(database_now()).with_audio_extent().with_gaps(), pk)
    call = dict(CallSerializer(row).data)
    is_live = call["state"] == "live"
    participants = _with_sizes(row, call["participants"])
    told = history(row.call_connection_id, row.correlation_id)
    context = {
        **coverage_context(row, told),
        "call": call,
        "row": row,
        "participants": participants,
        "holds": holds_on(row),
        "subscriptions": [
            {**each, "close_text": close_text(each["close_code"])} for each in call["subscriptions"]
        ],
        **_events(row, participants, told, request),
        "active_alarms": _active_alarms(row) if is_live else [],
        "listeners": _listeners(row, now) if is_live else [],
        "formats": list(FORMATS.values()),
        "track_formats": _track_formats(participants),
        "ids": _ids(call),
        **_rights(request.user, is_live=is_live),
    }
    is_part = request.GET.get("part") == "facts"
    template = "calls/_call_facts.html" if is_part else "calls/call.html"
    return render(request, template, context)


@page(TO_SEE)
def call_timeline(_request: HttpRequest, pk: UUID) -> HttpResponse:
    call = _call_of(Call.objects.with_state(database_now()), pk)
    told = history(call.call_connection_id, call.correlation_id)
    timeline = timeline_of(call, partial(cause_of, told.interruptions))
    return JsonResponse(with_witnesses(timeline, call, told))


def _ids(call: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Call connection id", call["call_connection_id"]),
        ("Correlation id", call["correlation_id"]),
        ("acsmedia id", call["id"]),
    ]


def _rights(user: Any, *, is_live: bool) -> dict[str, Any]:
    """Context of everything that a user may do or not; `why_not_heard`: the permission missing."""
    return {
        "why_not_heard": missing(user, to_get_audio(is_live=is_live)),
        "may_listen": is_live and not missing(user, TO_LISTEN),
        "may_export": not missing(user, to_get_audio(is_live=is_live, download=True)),
        "LISTEN": LISTEN,
    }


def _events(
    call: Any, participants: list[dict[str, Any]], told: CallHistory, request: HttpRequest
) -> dict[str, Any]:
    """Context of the panel "Events": those of the ledger, and those that ACS has `told`."""
    is_begun = request.GET.get("ledger") != "all"
    zero = call.audio_started_at or call.started_at
    kept = _ledger_events(call, participants, told, zero)
    events = [*kept[:MAX_ENTRIES], *events_of(told, call, zero)]
    lines = folded(sorted(events, key=lambda event: event.started_at))
    return {
        "lines": lines[:LINES] if is_begun else lines,
        "has_more_lines": is_begun and len(lines) > LINES,
        "has_more_entries": len(kept) > MAX_ENTRIES,
        "most_entries": MAX_ENTRIES,
        "is_begun": is_begun,
    }


def _ledger_events(
    call: Call, participants: list[dict[str, Any]], told: CallHistory, zero: datetime
) -> list[Event]:
    """Returns the events of the ledger, one more than `MAX_ENTRIES` if there are more."""
    labels = {str(each["id"]): each["label"] for each in participants}
    entries = LedgerEntry.objects.filter(call=call).values_list(
        "kind", "reason", "detail", "started_at", "ended_at", "participant_id"
    )
    return [
        Event(
            kind=kind,
            reason=reason,
            text=gap_text(reason, cause_of(told.interruptions, started_at, ended_at))
            if kind == LedgerEntry.Kind.GAP
            else event_text(kind, reason, detail),
            at=max(0.0, seconds_after(zero, started_at)),
            started_at=started_at,
            seconds=(ended_at - started_at).total_seconds() if ended_at else None,
            participant=labels.get(str(participant_id), ""),
        )
        for kind, reason, detail, started_at, ended_at, participant_id in entries[: MAX_ENTRIES + 1]
    ]


def _call_of(calls: QuerySet[Call], pk: UUID) -> Any:
    try:
        return calls.get(pk=pk)
    except Call.DoesNotExist:
        raise Http404("No call has this id. Its recording may have been deleted.") from None


def _active_alarms(call: Call) -> list[tuple[str, str, datetime]]:
    """Returns text, participant and beginning of the alarms that are active, the newest first."""
    alarms = LedgerEntry.objects.filter(call=call).active_alarms().select_related("participant")
    return [
        (
            event_text(entry.kind, entry.reason, entry.detail),
            entry.participant.label if entry.participant else "",
            entry.started_at,
        )
        for entry in alarms.order_by("-started_at", "-id")
    ]


def _listeners(call: Call, now: datetime) -> list[str]:
    """Returns the names of the users who are listening in, sorted, each once."""
    listening = LedgerEntry.objects.filter(
        call=call, kind=LedgerEntry.Kind.LISTENING, ended_at__gt=now - LISTENER_TIMEOUT
    )
    details = listening.values_list("detail", flat=True)
    return sorted({str(detail.get("user", "someone")) for detail in details})


def _track_formats(participants: list[dict[str, Any]]) -> list[tuple[Format, bool]]:
    """Returns each format, and whether it can hold a channel for each participant with audio."""
    channels = sum(participant["segments"] > 0 for participant in participants)
    return [(each, each.holds(channels)) for each in FORMATS.values()]


def _with_sizes(call: Call, participants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds the number and the bytes of the stored segments to participants as in REST."""
    segments = Segment.objects.filter(participant__call=call).order_by().values("participant_id")
    rows = segments.annotate(segments=Count("*"), stored_bytes=Sum("stored_bytes"))
    sizes = {str(row["participant_id"]): row for row in rows}
    nothing = {"segments": 0, "stored_bytes": 0}
    return [{**each, **sizes.get(str(each["id"]), nothing)} for each in participants]
