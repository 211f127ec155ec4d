"""The list of calls: a search form, pages of rows, and CSV export.

Newest first. A page begins after a position (`before=<started_at>~<id>`), so that a list which
grows while it is read repeats nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, ClassVar, Self
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.core import validators
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from calls.http.responses import asynchronous
from calls.http.zones import viewer_zone
from calls.lookups import SHORTEST, TOO_SHORT
from calls.models import Call, CallQuerySet, LedgerEntry, database_now
from calls.pages.csv_text import csv_download, csv_refused
from calls.pages.decorators import page, permitted
from calls.pages.zip_download import Selection
from calls.permissions import TO_EXPORT, TO_EXPORT_LISTS, TO_SEE, missing
from calls.search import CANARIES, STATES, matching
from calls.serializers import CallSerializer
from calls.times import iso_text, midnight

PAGE = 50
CSV_PAGE = 500
POSITION = "before"
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
"""Days outside these are typing errors, and `date.max` has no following day."""
LONGEST_MINUTES = 100_000


@dataclass(frozen=True, slots=True)
class Position:
    """A call in the list: a page shows the calls after it. As text it is a parameter of the
    address.
    """

    started_at: datetime
    pk: UUID

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Returns None for an invalid text: the list then begins with the newest call."""
        started_at, _, pk = text.partition("~")
        try:
            moment = datetime.fromisoformat(started_at)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return cls(aware.astimezone(UTC), UUID(pk))
        except (ValueError, OverflowError):  # the second near the first and the last year
            return None

    def __str__(self) -> str:
        return f"{self.started_at.astimezone(UTC).isoformat()}~{self.pk}"


class CallSearchForm(forms.Form):
    """Search criteria, all optional. Days are those of the zone."""

    q = forms.CharField(required=False, label="Number, name or id", max_length=256)
    since = forms.DateField(
        required=False, label="From", validators=[validators.MinValueValidator(FIRST_DAY)]
    )
    until = forms.DateField(
        required=False, label="To", validators=[validators.MaxValueValidator(LAST_DAY)]
    )
    state = forms.ChoiceField(required=False, label="State", choices=[("", "All"), *STATES])
    minutes = forms.FloatField(
        required=False, label="Length (min) from", min_value=0, max_value=LONGEST_MINUTES
    )
    most = forms.FloatField(
        required=False, label="Length (min) to", min_value=0, max_value=LONGEST_MINUTES
    )
    gaps = forms.BooleanField(required=False, label="Has gaps")
    alarms = forms.BooleanField(required=False, label="Had alarms")
    canaries = forms.ChoiceField(
        required=False, label="Canary calls", choices=[("", "Hidden"), *CANARIES[1:]]
    )

    input_types: ClassVar[dict[str, str]] = {"q": "search", "since": "date", "until": "date"}

    def __init__(self, data: Any, zone: tzinfo = UTC) -> None:
        super().__init__(data)
        self.zone = zone
        for name, kind in self.input_types.items():
            self.fields[name].widget.input_type = kind
        self.fields["q"].widget.attrs |= {
            "placeholder": "+1555…",
            "autocomplete": "off",
            "spellcheck": "false",
        }

    def clean_q(self) -> str:
        text: str = self.cleaned_data["q"].strip()
        if 0 < len(text) < SHORTEST:
            raise forms.ValidationError(TOO_SHORT)
        return text

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        least, most = cleaned.get("minutes"), cleaned.get("most")
        if least is not None and most is not None and most < least:
            self.add_error("most", "Length: “to” must not be less than “from”.")
        return cleaned

    def calls(self) -> CallQuerySet:
        """Returns the matching calls, newest first. Requires `is_valid()`."""
        criteria = self.cleaned_data
        calls = Call.objects.for_rest(database_now()).with_troubles().with_verdict()
        calls = calls.showing_canaries(criteria["canaries"])
        if criteria["since"]:
            calls = calls.filter(started_at__gte=midnight(criteria["since"], self.zone))
        if criteria["until"]:
            following = criteria["until"] + timedelta(days=1)
            calls = calls.filter(started_at__lt=midnight(following, self.zone))
        if criteria["state"]:
            calls = calls.in_state(criteria["state"], database_now())
        for name, kind in (("gaps", LedgerEntry.Kind.GAP), ("alarms", LedgerEntry.Kind.ALARM)):
            if criteria[name]:
                calls = calls.filter(
                    Exists(LedgerEntry.objects.filter(call=OuterRef("pk"), kind=kind))
                )
        least, most = criteria["minutes"], criteria["most"]
        if least or most is not None:
            # Between the first and the last audio: calls without audio match no limit.
            calls = calls.with_length()
        if least:
            # `with_length` annotates `length`
            calls = calls.filter(length__gte=timedelta(minutes=least))  # type: ignore[misc]
        if most is not None:
            # `with_length` annotates `length`
            calls = calls.filter(length__lte=timedelta(minutes=most))  # type: ignore[misc]
        if criteria["q"]:
            calls = matching(calls, criteria["q"])
        return calls.order_by("-started_at", "-id")

    @property
    def filters(self) -> dict[str, str]:
        """The fields that were filled in, as in the address."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}

    @property
    def described_filters(self) -> list[str]:
        """The same as text, for the message that no calls match."""
        labels = {name: str(self.fields[name].label).lower() for name in self.filters}
        return [
            label if name in ("gaps", "alarms") else f"{label} {self.filters[name]}"
            for name, label in labels.items()
        ]


@page(TO_SEE)
def call_list(request: HttpRequest) -> HttpResponse:
    """The page; with `part=rows` only the part below the form."""
    zone = viewer_zone(request)
    form = CallSearchForm(request.GET, zone.info)
    rows, has_more, is_first_page = [], False, True
    if form.is_valid():
        calls, position = form.calls(), Position.parse(request.GET.get(POSITION, ""))
        shown = list((_before(calls, position) if position else calls)[: PAGE + 1])
        rows, has_more, is_first_page = shown[:PAGE], len(shown) > PAGE, position is None
    last = Position(rows[-1].started_at, rows[-1].pk) if has_more else None
    context = {
        "form": form,
        "rows": _rows(rows),
        "older": f"?{urlencode({**form.filters, POSITION: last})}" if last else "",
        "newest": "" if is_first_page else f"?{urlencode(form.filters)}",
        "csv": urlencode(form.filters),
        "may_export": not missing(request.user, TO_EXPORT_LISTS),
        "selection": Selection() if not missing(request.user, TO_EXPORT) else None,
        # Its days cannot be told yet: the page names its zone in a cookie and requests the rows.
        "is_pending": not zone.is_known and not {"since", "until"}.isdisjoint(form.filters),
        "is_empty": not form.filters and not rows and is_first_page,
    }
    is_part = request.GET.get("part") == "rows"
    template = "calls/_call_rows.html" if is_part else "calls/call_list.html"
    return render(request, template, context)


@require_safe
@permitted(TO_EXPORT_LISTS)
def _call_csv(request: HttpRequest) -> HttpResponseBase:
    zone = viewer_zone(request).info
    form = CallSearchForm(request.GET, zone)
    if not form.is_valid():
        return csv_refused(form.errors.as_text())
    return csv_download("calls", COLUMNS, _pages(form.calls(), zone), zone)


call_csv = asynchronous(_call_csv)

COLUMNS = (
    "id",
    "call_connection_id",
    "correlation_id",
    "state",
    "started_at",
    "ended_at",
    "audio_started_at",
    "duration_seconds",
    "participants",
    "gaps",
    "gap_seconds",
    "alarms",
    "active_alarms",
    "continued_from",
    "continued_in",
    "verdict",
)


def _pages(calls: CallQuerySet, zone: tzinfo) -> Generator[list[Sequence[Any]], None, None]:
    """Yields pages of `COLUMNS`, each from a query of its own, since sending may take minutes."""
    position: Position | None = None
    while shown := list((_before(calls, position) if position else calls)[:CSV_PAGE]):
        yield [_cells(row, zone) for row in _rows(shown)]
        position = Position(shown[-1].started_at, shown[-1].pk)


def _cells(row: dict[str, Any], zone: tzinfo) -> list[Any]:
    return [
        *(row[name] for name in COLUMNS[:4]),
        *(_local(row[name], zone) for name in COLUMNS[4:7]),
        row["duration_seconds"],
        "; ".join(participant["label"] for participant in row["participants"]),
        row["gap_count"],
        round(row["gap_seconds"], 3),
        row["alarm_count"],
        row["active_alarm_count"],
        row["continued_from"] or "",
        row["continued_in"] or "",
        row["verdict"],
    ]


def _local(text: str | None, zone: tzinfo) -> str:
    """Returns a time of REST in the zone, with its offset."""
    return iso_text(datetime.fromisoformat(text), zone) if text else ""


def _rows(calls: Sequence[Any]) -> list[dict[str, Any]]:
    """Calls as in REST, with the members that only the list shows."""
    # One serializer for all: one per call costs more than the row.
    serialized = CallSerializer(calls, many=True).data
    return [
        {
            **facts,
            "gap_count": call.gap_count,
            "gap_seconds": call.gap_seconds,
            "alarm_count": call.alarm_count,
            # Those of a host that was lost have no end either.
            "active_alarm_count": call.active_alarm_count if call.state == "live" else 0,
            "verdict": call.verdict,
            "started": call.started_at,
        }
        for facts, call in zip(serialized, calls, strict=True)
    ]


def _before(calls: CallQuerySet, position: Position) -> CallQuerySet:
    moment = position.started_at
    return calls.filter(Q(started_at__lt=moment) | Q(started_at=moment, pk__lt=position.pk))
