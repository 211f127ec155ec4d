"""`/coverage/<id>/`: a call without a recording, with its witnesses and former verdicts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from calls.coverage.acs_events import CallHistory
from calls.coverage.history import history
from calls.identity import is_canary, label_of
from calls.models import COUNTED, Call, CallCoverage
from calls.pages.coverage.rows import VERDICTS, reasons_of, recordings_of
from calls.pages.coverage.witnesses import (
    Witness,
    coverage_of,
    differences,
    witnesses_of,
)
from calls.pages.decorators import page
from calls.permissions import TO_SEE

WIDTH = 1000
"""Units of the drawing of the witnesses."""


@page(TO_SEE)
def coverage_call(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page; a call that has a recording has its own."""
    calls = CallCoverage.objects.filter(COUNTED).prefetch_related("missing", "former")
    found = calls.filter(pk=pk).first()
    if found is None:
        raise Http404("No call has this id.")
    if call := recordings_of([found]).get(found.pk):
        return redirect(reverse("call", args=[call.pk]) + "#coverage-title")
    told = history(found.call_connection_id, found.correlation_id)
    context = {
        "notes": told.notes,
        "people": [each.display_name or label_of(each.raw_id) for each in told.participants],
        "ids": [
            ("Call connection id", found.call_connection_id),
            ("Correlation id", found.correlation_id),
        ],
        **_verdict(found),
        **_drawn(found, witnesses_of(found.call_connection_id, found.correlation_id, told)),
    }
    return render(request, "calls/coverage/call.html", context)


def coverage_context(call: Call, told: CallHistory) -> dict[str, Any]:
    """Returns the context of the panel "Coverage" on the page of a recorded call; nothing for a
    canary call, which is never judged. `told`: the `history` of the call.
    """
    if is_canary(call.call_connection_id):
        return {}
    found = coverage_of(call).prefetch_related("missing", "former").first()
    witnesses = witnesses_of(call.call_connection_id, call.correlation_id, told, call)
    return {"witnesses": witnesses} | (_verdict(found) if found else {})


def _verdict(found: CallCoverage) -> dict[str, Any]:
    return {
        "coverage": found,
        "verdict_text": VERDICTS.get(found.verdict, found.verdict),
        "reasons": reasons_of(found.missing.all()),
        "differences": differences(found),
        "former": [(VERDICTS.get(each.verdict, each.verdict), each) for each in found.former.all()],
    }


def _drawn(found: CallCoverage, witnesses: list[Witness]) -> dict[str, Any]:
    """Returns the witnesses on one axis, from the first moment that any of them names to the
    last.
    """
    moments = [found.started_at, *([found.ended_at] if found.ended_at else [])]
    for each in (one for witness in witnesses for one in witness.observations):
        moments += [each.started_at, *([each.ended_at] if each.ended_at else [])]
    first, last = min(moments), max(moments)
    seconds = max((last - first).total_seconds(), 1.0)

    def place(moment: datetime) -> float:
        return round(WIDTH * (moment - first).total_seconds() / seconds, 1)

    return {
        "witnesses": [
            {
                "witness": witness,
                "pieces": [
                    {
                        "one": one,
                        "from": place(one.started_at),
                        "width": max(3.0, place(one.ended_at or last) - place(one.started_at)),
                    }
                    for one in witness.observations
                ],
            }
            for witness in witnesses
        ],
    }
