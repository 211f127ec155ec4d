"""`/coverage/`: was every call recorded? The page, its CSV, and the line of the dashboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from calls.coverage.report import Bar, Report, report
from calls.http.responses import asynchronous
from calls.http.zones import ViewerZone, viewer_zone
from calls.models import CallEvent, ExpectedCall
from calls.pages.coverage.chart import VERDICTS as IN_BARS
from calls.pages.coverage.chart import highest, labels_of, pieces_of
from calls.pages.coverage.form import CoverageForm
from calls.pages.coverage.period import PERIODS, Period, period_named
from calls.pages.coverage.rows import VERDICTS, Position, Row, Wanted, all_rows, faults_of, page_of
from calls.pages.coverage.sentence import Fault, percent_text, sentence
from calls.pages.csv_text import csv_download, csv_refused
from calls.pages.decorators import page, permitted
from calls.permissions import TO_EXPORT_LISTS, TO_SEE, missing
from calls.times import iso_text
from calls.wording import REFUSALS, missing_text

PAGE = 50
CSV_PAGE = 500
POSITION = "after"


@page(TO_SEE)
def coverage(request: HttpRequest) -> HttpResponse:
    """The page; with `part=report` only the part below the form."""
    zone = viewer_zone(request)
    form = CoverageForm(request.GET, zone.info)
    context: dict[str, Any] = {
        "form": form,
        "periods": PERIODS,
        "may_export": not missing(request.user, TO_EXPORT_LISTS),
        "witnesses": _witnesses(request),
    }
    if form.is_valid():
        context |= _report(form, zone) | _rows(form, request.GET.get(POSITION, ""))
    is_part = request.GET.get("part") == "report"
    template = "calls/coverage/_report.html" if is_part else "calls/coverage/coverage.html"
    return render(request, template, context)


@page(TO_SEE)
def coverage_line(request: HttpRequest) -> HttpResponse:
    """The sentence about today, for the dashboard, which fetches it once a minute."""
    zone = viewer_zone(request).info
    today = period_named("today", timezone.now().astimezone(zone).date())
    found, faults = _found(today, zone)
    parts = sentence(found.calls, faults)
    return render(request, "calls/coverage/_line.html", {"parts": parts})


@require_safe
@permitted(TO_EXPORT_LISTS)
def _coverage_csv(request: HttpRequest) -> HttpResponseBase:
    zone = viewer_zone(request).info
    form = CoverageForm(request.GET, zone)
    if not form.is_valid():
        return csv_refused(form.errors.as_text())
    return csv_download("coverage", COLUMNS, _pages(form.wanted(), zone), zone)


coverage_csv = asynchronous(_coverage_csv)

COLUMNS = (
    *("call", "call_connection_id", "correlation_id", "verdict", "started_at", "ended_at"),
    *("expected_seconds", "recorded_seconds", "missing_seconds", "reasons"),
    *("participants_expected", "participants_recorded", "refused", "more_than_four"),
)


def _pages(wanted: Wanted, zone: tzinfo) -> Generator[list[list[Any]], None, None]:
    """Yields pages of `COLUMNS`."""
    for rows in all_rows(wanted, CSV_PAGE):
        yield [_cells(row, zone) for row in rows]


def _cells(row: Row, zone: tzinfo) -> list[Any]:
    found = row.coverage
    return [
        row.recording.pk if row.recording else "",
        found.call_connection_id,
        found.correlation_id,
        found.verdict,
        iso_text(found.started_at, zone),
        iso_text(found.ended_at, zone) if found.ended_at else "",
        round(found.expected_seconds, 3),
        round(found.recorded_seconds, 3),
        round(found.missing_seconds, 3),
        "; ".join(f"{text}: {seconds:.3f} s" for text, seconds in row.reasons),
        "" if found.participants_expected is None else found.participants_expected,
        found.participants_recorded,
        "yes" if found.is_refused else "no",
        "yes" if found.more_than_four else "no",
    ]


def _found(period: Period, zone: tzinfo) -> tuple[Report, list[Fault]]:
    start, end = period.start(zone), period.end(zone)
    found = report(start, end, zone, target=settings.COVERAGE_TARGET)
    return found, faults_of(Wanted(start, end, "faults"))


def _report(form: CoverageForm, zone: ViewerZone) -> dict[str, Any]:
    """Context of everything above the rows."""
    period = form.chosen_period()
    found, faults = _found(period, zone.info)
    calls = found.calls
    return {
        "period": period,
        "before": _days(period.beside(-1, form.today)),
        "after": _days(period.beside(1, form.today)) if period.last < form.today else "",
        "report": found,
        "parts": sentence(calls, faults),
        "by_seconds": percent_text(found.captured_ratio),
        "by_calls": percent_text(found.captured_calls_ratio),
        "is_empty": not (calls.expected + calls.unexpected + calls.unknown),
        "reasons": _reasons(faults),
        "refusals": [
            (REFUSALS.get(reason, reason), count)
            for reason, count in found.refused_handshakes.items()
        ],
        "bars": _bars(found, hours=period.days == 1),
        "is_now": period.last >= form.today,
        "same_period": f"{urlencode(form.given_period)}&" if form.given_period else "",
    }


def _rows(form: CoverageForm, position: str) -> dict[str, Any]:
    rows, last = page_of(form.wanted(), Position.parse(position), PAGE)
    given = form.given
    return {
        "rows": rows,
        "older": f"?{urlencode({**given, POSITION: last})}" if last else "",
        "newest": f"?{urlencode(given)}" if position else "",
        "csv": urlencode(given),
        "reason_text": missing_text(form.cleaned_data["reason"]),
        "hour": form.cleaned_data["hour"],
    }


def _reasons(faults: list[Fault]) -> list[dict[str, Any]]:
    """Returns missing time by reason, the longest first; `share` of the longest, from 0 to 100."""
    calls: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for fault in faults:
        if fault.verdict in ("partial", "missing"):
            calls[fault.reason] += fault.calls
            seconds[fault.reason] = seconds.get(fault.reason, 0.0) + fault.seconds
    longest = max(seconds.values(), default=0.0) or 1.0
    return [
        {
            "reason": reason,
            "text": missing_text(reason),
            "calls": calls[reason],
            "seconds": missing_seconds,
            "share": round(100 * missing_seconds / longest, 1),
        }
        for reason, missing_seconds in sorted(seconds.items(), key=lambda item: -item[1])
    ]


def _bars(found: Report, *, hours: bool) -> dict[str, Any]:
    """Returns the drawing: a bar per hour of one day, else per day, with its texts and its link."""
    bars = found.hours if hours else found.days
    counts = [{name: getattr(bar.calls, name) for name in IN_BARS} for bar in bars]
    most = highest(counts)
    texts = [f"{bar.start:%H:%M}" if hours else f"{bar.start:%m-%d}" for bar in bars]
    return {
        "unit": "hour" if hours else "day",
        "most": most,
        "labels": labels_of(texts),
        "legend": [
            (name, VERDICTS[name]) for name in reversed(IN_BARS) if any(bar[name] for bar in counts)
        ],
        "list": [
            {
                "bar": bar,
                "at": index,
                "name": f"{bar.start:%H:%M} to {bar.end:%H:%M}"
                if hours
                else f"{bar.start:%Y-%m-%d}",
                "calls": sum(count.values()),
                "pieces": pieces_of(count, most),
                "href": _link(bar, hours=hours),
            }
            for index, (bar, count) in enumerate(zip(bars, counts, strict=True))
        ],
    }


def _link(bar: Bar, *, hours: bool) -> str:
    """Returns the address of a bar: with its day, so that the link is right on other days too."""
    day = {"since": bar.start.date(), "until": bar.start.date()}
    if hours:
        return f"?{urlencode({**day, 'hour': iso_text(bar.start)})}#rows"
    return f"?{urlencode(day)}"


def _days(period: Period) -> str:
    return f"?{urlencode({'since': period.first, 'until': period.last})}"


def _witnesses(request: HttpRequest) -> dict[str, Any]:
    """Returns whether anything but our own sockets says that calls took place, and where ACS can
    say it.
    """
    return {
        "are_configured": CallEvent.objects.exists() or ExpectedCall.objects.exists(),
        "callbacks": request.build_absolute_uri(reverse("acs-callbacks")),
        "events": request.build_absolute_uri(reverse("acs-events")),
    }
