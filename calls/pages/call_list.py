"""The list of calls: found by what an operator remembers of one, shown a page at a time, handed out
as CSV.

Newest first, and pages by place (`before=<started_at>~<id>`): a list that grows while it is read
repeats nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Sequence
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.core import validators
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calls.http.responses import as_file, asynchronous
from calls.http.streaming import Body
from calls.lookups import SHORTEST
from calls.models import Call, CallQuerySet, LedgerEntry
from calls.pages.zip_download import NEEDED, Selection
from calls.permissions import EXPORT, SEE
from calls.search import STATES, as_raw_id, uuid_in
from calls.serializers import CallSerializer
from calls.times import midnight

PAGE = 50
CSV_PAGE = 500
PLACE = "before"
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
"""Days beyond these are mistyped, and the last of all has no day after it."""
LONGEST_MINUTES = 100_000


class CallSearchForm(forms.Form):
    """What is looked for. Everything may be left out; days are UTC."""

    q = forms.CharField(required=False, label="Number, name or id", max_length=256)
    since = forms.DateField(
        required=False, label="From", validators=[validators.MinValueValidator(FIRST_DAY)]
    )
    until = forms.DateField(
        required=False, label="To", validators=[validators.MaxValueValidator(LAST_DAY)]
    )
    state = forms.ChoiceField(required=False, label="State", choices=[("", "any"), *STATES])
    minutes = forms.FloatField(
        required=False, label="Minutes, at least", min_value=0, max_value=LONGEST_MINUTES
    )
    most = forms.FloatField(
        required=False, label="Minutes, at most", min_value=0, max_value=LONGEST_MINUTES
    )
    gaps = forms.BooleanField(required=False, label="Has gaps")
    alarms = forms.BooleanField(required=False, label="Had alarms")

    input_types: ClassVar[dict[str, str]] = {"q": "search", "since": "date", "until": "date"}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
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
            raise forms.ValidationError(
                f"At least {SHORTEST} characters: fewer are in nearly every number."
            )
        return text

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        least, most = given.get("minutes"), given.get("most")
        if least is not None and most is not None and most < least:
            self.add_error("most", "Minutes: “at most” must not be less than “at least”.")
        return given

    def found(self) -> CallQuerySet:
        """Calls that fit, newest first. Asked of a valid form."""
        wanted, calls = self.cleaned_data, Call.objects.for_rest(timezone.now()).with_troubles()
        if wanted["since"]:
            calls = calls.filter(started_at__gte=midnight(wanted["since"]))
        if wanted["until"]:
            calls = calls.filter(started_at__lt=midnight(wanted["until"] + timedelta(days=1)))
        if wanted["state"]:
            calls = calls.in_state(wanted["state"], timezone.now())
        for name, kind in (("gaps", LedgerEntry.Kind.GAP), ("alarms", LedgerEntry.Kind.ALARM)):
            if wanted[name]:
                calls = calls.filter(
                    Exists(LedgerEntry.objects.filter(call=OuterRef("pk"), kind=kind))
                )
        calls = _of_length(calls, wanted["minutes"], wanted["most"])
        found: CallQuerySet = _holding(calls, wanted["q"]).order_by("-started_at", "-id")
        return found

    @property
    def filters(self) -> dict[str, str]:
        """What was filled in, as it stands in the address."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}

    @property
    def said(self) -> list[str]:
        """The same in words, for whoever finds nothing."""
        switches = ("gaps", "alarms")
        named = {name: str(self.fields[name].label).lower() for name in self.filters}
        return [
            label if name in switches else f"{label} {self.filters[name]}"
            for name, label in named.items()
        ]


@never_cache
@require_safe
@login_required
@permission_required(SEE, raise_exception=True)
def call_list(request: HttpRequest) -> HttpResponse:
    """The page, or with `part=rows` what is below the form."""
    form = CallSearchForm(request.GET)
    rows, has_more, is_whole = [], False, True
    if form.is_valid():
        found = form.found()
        place = _place_in(request.GET.get(PLACE, ""))
        page = list((_before(found, place) if place else found)[: PAGE + 1])
        rows, has_more, is_whole = page[:PAGE], len(page) > PAGE, place is None
    context = {
        "form": form,
        "rows": _rows(rows),
        "older": _address(form, rows[-1]) if has_more else "",
        "newest": "" if is_whole else f"?{urlencode(form.filters)}",
        "csv": urlencode(form.filters),
        "may_export": request.user.has_perm(EXPORT),
        "selection": Selection() if request.user.has_perms(NEEDED) else None,
        "is_empty": not form.filters and not rows and is_whole,
    }
    template = (
        "calls/_call_rows.html" if request.GET.get("part") == "rows" else "calls/call_list.html"
    )
    return render(request, template, context)


@require_safe
@login_required
@permission_required([SEE, EXPORT], raise_exception=True)
def _call_csv(request: HttpRequest) -> HttpResponseBase:
    form = CallSearchForm(request.GET)
    if not form.is_valid():
        return HttpResponse(
            form.errors.as_text(), status=400, content_type="text/plain; charset=utf-8"
        )
    name = f"calls-{timezone.now():%Y%m%d-%H%M%S}.csv"
    return as_file(Body(_lines(form.found())), name, "text/csv; charset=utf-8")


call_csv = asynchronous(_call_csv)

COLUMNS = (
    *(
        "id",
        "call_connection_id",
        "correlation_id",
        "state",
        "started_at",
        "ended_at",
        "audio_started_at",
    ),
    *("duration_seconds", "participants", "gaps", "gap_seconds", "alarms"),
)


def _lines(found: CallQuerySet) -> Generator[bytes, None, None]:
    """CSV (RFC 4180), a page of rows in each piece, each page a query of its own: it may take
    minutes.
    """
    yield _csv([COLUMNS])
    place: tuple[datetime, UUID] | None = None
    while page := list((_before(found, place) if place else found)[:CSV_PAGE]):
        yield _csv([_cells(row) for row in _rows(page)])
        place = page[-1].started_at, page[-1].pk


def _csv(rows: list[Any]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows([[_harmless(cell) for cell in row] for row in rows])
    return text.getvalue().encode()


def _harmless(cell: Any) -> Any:
    """A spreadsheet takes text that begins so for a formula (OWASP, "CSV Injection")."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell


def _cells(row: dict[str, Any]) -> list[Any]:
    who = "; ".join(participant["label"] for participant in row["participants"])
    facts = [row[name] for name in COLUMNS[:8]]
    return [*facts, who, row["gap_count"], round(row["gap_seconds"], 3), row["alarm_count"]]


def _rows(calls: Sequence[Any]) -> list[dict[str, Any]]:
    """As in REST, and what only the list shows."""
    described = CallSerializer(
        calls, many=True
    ).data  # at once: a serializer of its own costs more than the row
    return [{**facts, **_only_here(call)} for facts, call in zip(described, calls, strict=True)]


def _only_here(call: Any) -> dict[str, Any]:
    counts = {name: getattr(call, name) for name in ("gap_count", "gap_seconds", "alarm_count")}
    return {**counts, "started": call.started_at}


def _of_length(calls: CallQuerySet, least: float | None, most: float | None) -> CallQuerySet:
    """Minutes from the first to the last moment heard. Calls that nobody was heard in have none,
    and fit neither.
    """
    if not least and most is None:
        return calls
    found = calls.with_length()
    if least:
        found = found.filter(length__gte=timedelta(minutes=least))  # type: ignore[misc]  # annotated
    if most is not None:
        found = found.filter(length__lte=timedelta(minutes=most))  # type: ignore[misc]  # annotated
    return found


def _holding(calls: CallQuerySet, text: str) -> CallQuerySet:
    """As REST's `search`: part of an id, a number or a name, or our own id."""
    if not text:
        return calls
    call_id = uuid_in(text)
    if call_id and calls.filter(pk=call_id).exists():
        return calls.filter(pk=call_id)
    return calls.holding(text, raw_id=as_raw_id(text))


def _before(calls: CallQuerySet, place: tuple[datetime, UUID]) -> CallQuerySet:
    started_at, pk = place
    return calls.filter(Q(started_at__lt=started_at) | Q(started_at=started_at, pk__lt=pk))


def _place_in(text: str) -> tuple[datetime, UUID] | None:
    """None for what is no place: the list begins with the newest then."""
    started_at, _, pk = text.partition("~")
    try:
        moment = datetime.fromisoformat(started_at)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC), UUID(pk)
    except (ValueError, OverflowError):  # the second at either end of time
        return None


def _address(form: CallSearchForm, last: Any) -> str:
    place = f"{last.started_at.astimezone(UTC).isoformat()}~{last.pk}"
    return f"?{urlencode({**form.filters, PLACE: place})}"
