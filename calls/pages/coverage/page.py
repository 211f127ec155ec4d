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
from calls.http.responses import as_file, asynchronous
from calls.http.streaming import Body
from calls.http.zones import ViewerZone, viewer_zone
from calls.models import CallEvent, ExpectedCall
from calls.pages.coverage.chart import VERDICTS as IN_BARS
from calls.pages.coverage.chart import highest, labels_of, pieces_of
from calls.pages.coverage.form import CoverageForm
from calls.pages.coverage.period import PERIODS, Period, period_named
from calls.pages.coverage.rows import VERDICTS, Position, Wanted, all_rows, faults_of, page_of
from calls.pages.coverage.sentence import Fault, percent_text, sentence
from calls.pages.csv_text import BYTE_ORDER_MARK, csv_text
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
    context = {"parts": sentence(found.calls, faults), "report": found}
    return render(request, "calls/coverage/_line.html", context)


@require_safe
@permitted(TO_EXPORT_LISTS)
def _coverage_csv(request: HttpRequest) -> HttpResponseBase:
    zone = viewer_zone(request).info
    form = CoverageForm(request.GET, zone)
    if not form.is_valid():
        return HttpResponse(
            form.errors.as_text(), status=400, content_type="text/plain; charset=utf-8"
        )
    name = f"coverage-{timezone.now().astimezone(zone):%Y%m%d-%H%M%S}.csv"
    lines = Body(_lines(form.wanted(), zone))
    return as_file(lines, TO_EXPORT_LISTS, name, "text/csv; charset=utf-8")


coverage_csv = asynchronous(_coverage_csv)

COLUMNS = (
    *("call", "call_connection_id", "correlation_id", "verdict", "started_at", "ended_at"),
    *("expected_seconds", "recorded_seconds", "missing_seconds", "reasons"),
    *("participants_expected", "participants_recorded", "refused", "more_than_four"),
)


def _lines(wanted: Wanted, zone: tzinfo) -> Generator[bytes, None, None]:
    """CSV (RFC 4180): each piece is a page of rows."""
    yield BYTE_ORDER_MARK + csv_text([COLUMNS])
    for rows in all_rows(wanted, CSV_PAGE):
        yield csv_text(
            [
                row.recording.pk if row.recording else "",
                row.coverage.call_connection_id,
                row.coverage.correlation_id,
                row.coverage.verdict,
                iso_text(row.coverage.started_at, zone),
                iso_text(row.coverage.ended_at, zone) if row.coverage.ended_at else "",
                round(row.coverage.expected_seconds, 3),
                round(row.coverage.recorded_seconds, 3),
                round(row.coverage.missing_seconds, 3),
                "; ".join(f"{text}: {seconds:.3f} s" for text, seconds in row.reasons),
                "" if (count := row.coverage.participants_expected) is None else count,
                row.coverage.participants_recorded,
                "yes" if row.coverage.is_refused else "no",
                "yes" if row.coverage.more_than_four else "no",
            ]
            for row in rows
        )


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
        "bars": _bars(found, form, hours=period.days == 1),
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


def _bars(found: Report, form: CoverageForm, *, hours: bool) -> dict[str, Any]:
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
                "href": _link(bar, form, hours=hours),
            }
            for index, (bar, count) in enumerate(zip(bars, counts, strict=True))
        ],
    }


def _name(bar: Bar, *, hours: bool) -> str:
    return f"{bar.start:%H:%M} to {bar.end:%H:%M}" if hours else f"{bar.start:%Y-%m-%d}"


def _link(bar: Bar, form: CoverageForm, *, hours: bool) -> str:
    if hours:
        return f"?{urlencode({**form.given_period, 'hour': iso_text(bar.start)})}#rows"
    return f"?{urlencode({'since': bar.start.date(), 'until': bar.start.date()})}"


def _days(period: Period) -> str:
    return f"?{urlencode({'since': period.first, 'until': period.last})}"


def _witnesses(request: HttpRequest) -> dict[str, Any]:
    """Returns whether anything but our own sockets says that calls took place, and where ACS can
    say it.
    """
    return {
        "are_configured": CallEvent.objects.exists() or ExpectedCall.objects.exists(),
        "callbacks": request.build_absolute_uri(reverse("dashboard") + "webhooks/acs/callbacks"),
        "events": request.build_absolute_uri(reverse("dashboard") + "webhooks/acs/events"),
    }
