"""Filters of the lists. None of them reads a whole table to render its choices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from calls.close_codes import GOOD_CLOSE_CODES
from calls.identity import KINDS
from calls.models import BROKEN, Participant, Subscription, database_now
from calls.search import CANARIES
from calls.times import midnight
from calls.wording import CALL_STATES

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]

DAY = timedelta(days=1)


class StateFilter(admin.SimpleListFilter):
    """Filters calls by their derived state."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        return list(CALL_STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        state = self.value()
        if state is None:
            return None
        calls: Any = queryset
        in_state: QuerySet[Any] = calls.in_state(state, database_now())
        return in_state


class CanaryFilter(admin.SimpleListFilter):
    """Hides canary calls unless they are asked for."""

    title = "canary calls"
    parameter_name = "canaries"

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        return CANARIES[1:]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        default, *others = super().choices(changelist)
        yield {**default, "display": CANARIES[0][1]}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        calls: Any = queryset
        shown: QuerySet[Any] = calls.showing_canaries(self.value())
        return shown


class KindFilter(admin.SimpleListFilter):
    """Filters calls by the kind of a participant."""

    title = "kind of participant"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        return list(KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        if self.value() is None:
            return None
        return queryset.filter(
            Exists(Participant.objects.filter(call=OuterRef("pk"), kind=self.value()))
        )


class AudioFaultFilter(admin.SimpleListFilter):
    """Filters events by faults of stored audio: those that are still there, or mended ones."""

    title = "stored audio"
    parameter_name = "audio"

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        return [("present", "Missing or damaged"), ("past", "Found again or restored")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        entries: Any = queryset
        if self.value() not in {"present", "past"}:
            return None
        is_present = self.value() == "present"
        found: QuerySet[Any] = (
            entries.present_audio_faults() if is_present else entries.past_audio_faults()
        )
        return found


class SocketStateFilter(admin.SimpleListFilter):
    """Filters subscriptions by the state of their socket."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed normally"), ("broken", "Closed abnormally")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        still_open = Subscription.objects.open(database_now()).order_by().values("pk")
        match self.value():
            case "open":
                return queryset.filter(pk__in=still_open)
            case "closed":
                return queryset.filter(
                    disconnected_at__isnull=False, close_code__in=GOOD_CLOSE_CODES
                )
            case "broken":
                return queryset.filter(BROKEN).exclude(pk__in=still_open)
        return None


class SpanFilter(admin.FieldListFilter):
    """Filters by days in UTC, both inclusive: links to usual ranges, and two date fields."""

    template = "admin/calls/span_filter.html"

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: Any,
        model: Any,
        model_admin: _Admin,
        field_path: str,
    ) -> None:
        self.since_name, self.until_name = f"{field_path}_since", f"{field_path}_until"
        self.other_parameters: list[tuple[str, str]] = []
        super().__init__(field, request, params, model, model_admin, field_path)
        self.title = f"day {field_path.removesuffix('_at')} (UTC)"
        self.since, self.until = self._day(self.since_name), self._day(self.until_name)

    def expected_parameters(self) -> list[str | None]:
        return [self.since_name, self.until_name]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.since:
            queryset = queryset.filter(**{f"{self.field_path}__gte": midnight(self.since)})
        if self.until:
            queryset = queryset.filter(**{f"{self.field_path}__lt": midnight(self.until + DAY)})
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        own = {self.since_name, self.until_name}
        parameters = changelist.filter_params.items()
        self.other_parameters = [
            (name, value) for name, values in parameters if name not in own for value in values
        ]
        today = timezone.now().astimezone(UTC).date()
        for text, since, until in (
            ("Any day", None, None),
            ("Today", today, today),
            ("Yesterday", today - DAY, today - DAY),
            ("Past 7 days", today - 6 * DAY, today),
            ("Past 30 days", today - 29 * DAY, today),
        ):
            days = {self.since_name: since, self.until_name: until}
            yield {
                "selected": (self.since, self.until) == (since, until),
                "query_string": changelist.get_query_string(
                    {name: day.isoformat() if day else None for name, day in days.items()}
                ),
                "display": text,
            }

    def _day(self, name: str) -> date | None:
        values: Any = self.used_parameters.get(name)
        text = values[-1] if values else ""
        if not text:  # an empty date field
            return None
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise IncorrectLookupParameters(f"{name} is not a date") from error


class OfRecord(admin.SimpleListFilter):
    """Filters the rows of one call, participant or socket; shown only while it is in use, which
    is after following a link from the page of that record.
    """

    model: type[Model]
    lookup: str

    def lookups(self, request: HttpRequest, model_admin: _Admin) -> list[tuple[str, str]]:
        if self.value() is None:
            return []
        owner = self.model._default_manager.filter(pk=self._id()).first()
        return [(str(self.value()), str(owner or self.value()))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.lookup: self._id()})

    def _id(self) -> UUID:
        try:
            return UUID(self.value())
        except ValueError as error:
            raise IncorrectLookupParameters(f"{self.parameter_name} is not a UUID") from error


def of(parameter: str, model: type[Model], lookup: str = "") -> type[OfRecord]:
    """Returns the filter `?<parameter>=<id>` for rows whose `lookup` (default: the parameter) is
    that record.
    """
    attributes = {
        "title": parameter,
        "parameter_name": parameter,
        "model": model,
        "lookup": lookup or parameter,
    }
    return type(f"Of{model.__name__}", (OfRecord,), attributes)
