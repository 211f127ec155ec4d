"""The pages of the shelf benchmark, each with varying values and a time limit."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from urllib.parse import urlencode

REST_MS, PAGE_MS = 100, 300
"""Limits of the 95th percentile."""

Make = Callable[[Random], str]


@dataclass(frozen=True)
class Page:
    """`path` returns an address, with random values."""

    name: str
    path: Make
    limit_ms: int


def pages() -> Iterator[Page]:
    """Requires Django to be set up."""
    shelf = _Shelf()
    rest = (
        *_rest_lists(shelf),
        *_rest_searches(shelf),
        *_rest_calls(shelf),
        *_rest_coverage(shelf),
    )
    for name, path in rest:
        yield Page(f"REST {name}", path, REST_MS)
    for name, path in (*_console_lists(shelf), *_console_pages(shelf)):
        yield Page(f"console {name}", path, PAGE_MS)
    for name, path in (*_admin_lists(shelf), *_admin_filters(shelf), *_admin_pages(shelf)):
        yield Page(f"admin {name}", path, PAGE_MS)


class _Shelf:
    """Some existing rows."""

    def __init__(self) -> None:
        from calls.models import Call, Participant, Segment

        self.now = datetime.now(UTC)
        kept = Call.objects.filter(
            started_at__gt=self.now - timedelta(days=300)
        )  # not deleted by retention
        self.calls = list(kept.order_by("id")[:400])
        self.ids = [call.pk for call in self.calls]
        voices = Participant.objects.filter(call__in=self.ids)
        self.numbers: list[str] = list(voices.filter(kind="phone").values_list("raw_id", flat=True))
        self.users = list(voices.filter(kind="acs").values_list("raw_id", flat=True))
        self.voices = list(voices.values_list("pk", flat=True))
        long = Participant.objects.filter(
            pk__in=Segment.objects.filter(journal=59).values("participant")[:50]
        )
        self.long_calls = list(long.values_list("call_id", flat=True))
        self.segments = list(
            Segment.objects.filter(participant__in=self.voices[:50]).values_list("pk", flat=True)
        )

    def _time(self, random: Random) -> datetime:
        return self.now - timedelta(days=random.uniform(2, 360))

    def moment(self, random: Random) -> str:
        return self._time(random).isoformat()

    def date(self, random: Random) -> str:
        return self._time(random).date().isoformat()

    def cursor(self, random: Random) -> str:
        """Encodes a position as DRF does: base64 of a query string."""
        return b64encode(urlencode({"p": str(self._time(random))}).encode()).decode()

    def position(self, random: Random) -> str:
        return f"{self._time(random).isoformat()}~{random.choice(self.ids)}"

    def connection(self, random: Random) -> str:
        return str(random.choice(self.calls).call_connection_id)

    def part(self, random: Random, length: int = 6) -> str:
        number: str = random.choice(self.numbers)[5:]
        begin = random.randrange(len(number) - length + 1)
        return number[begin : begin + length]


def _rest_lists(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    calls = partial(_list, "/api/v1/calls/")
    yield "calls", calls()
    yield "calls, 200 a page", calls(page_size=200)
    yield "calls, deep cursor", calls(cursor=shelf.cursor)
    for state in ("live", "ended", "interrupted"):
        yield f"calls, state={state}", calls(state=state)
    yield "calls, started_before", calls(started_before=shelf.moment)
    yield "calls, started_after", calls(started_after=shelf.moment)
    yield "calls, connection id", calls(call_connection_id=shelf.connection)
    yield (
        "calls, correlation id",
        calls(correlation_id=lambda random: random.choice(shelf.calls).correlation_id),
    )
    yield "calls, participant, whole number", calls(participant=_of(shelf.numbers))
    yield "calls, participant, 6 digits", calls(participant=shelf.part)
    yield "calls, participant, 4 digits", calls(participant=lambda random: shelf.part(random, 4))
    yield "calls, participant, +49", calls(participant="+49")
    yield (
        "calls, participant, ACS user",
        calls(participant=lambda random: random.choice(shelf.users)[-12:]),
    )
    yield "calls, participant, nobody", calls(participant="987654321987")


def _rest_coverage(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    def dates(days: int) -> dict[str, Any]:
        start = (shelf.now - timedelta(days=days)).date().isoformat()
        return {"from": start, "to": shelf.now.date().isoformat()}

    for days in (1, 30, 365):
        yield f"coverage, {days} days", _list("/api/v1/coverage/", **dates(days))
    calls = partial(_list, "/api/v1/coverage/calls/", **dates(365))
    yield "coverage of calls, a year", calls()
    yield "coverage of calls, missing", calls(verdict="missing")
    yield "coverage of calls, reason", calls(reason="never_streamed")


def _rest_searches(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    calls = partial(_list, "/api/v1/calls/")
    yield (
        "calls, search, part of an id",
        calls(search=lambda random: shelf.connection(random)[3:15]),
    )
    yield "calls, search, 6 digits", calls(search=shelf.part)
    yield "calls, search, 4 digits", calls(search=lambda random: shelf.part(random, 4))
    yield "calls, search, +49", calls(search="+49")
    yield "calls, search, a name", calls(search="Agent 17")
    yield "calls, search, nothing", calls(search="zzzzzz")
    yield "calls, search, our id", calls(search=_of(shelf.ids))
    yield "calls, state and number", calls(state="ended", participant=shelf.part)
    yield "calls, search, deep cursor", calls(search="+49", cursor=shelf.cursor)
    yield (
        "calls, state, day, number",
        calls(state="interrupted", started_before=shelf.moment, participant="+4915"),
    )


def _rest_calls(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    def of(ids: list[Any], rest: str) -> Make:
        return lambda random: f"/api/v1/calls/{random.choice(ids)}/{rest}"

    yield "one call", of(shelf.ids, "")
    yield "segments", of(shelf.ids, "segments/")
    yield "segments, 10 min call", of(shelf.long_calls, "segments/")
    yield "manifest", of(shelf.ids, "manifest")
    yield "peaks, 10 min call", of(shelf.long_calls, "peaks")


def _console_lists(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    calls = partial(_list, "/calls/")
    yield "calls", calls()
    yield "calls, far down", calls(before=shelf.position)
    for state in ("live", "ended", "interrupted"):
        yield f"calls, state={state}", calls(state=state)
    yield "calls, until a day", calls(until=shelf.date)
    yield "calls, whole number", calls(q=_of(shelf.numbers))
    yield "calls, 6 digits", calls(q=shelf.part)
    yield "calls, 4 digits", calls(q=lambda random: shelf.part(random, 4))
    yield "calls, +49", calls(q="+49")
    yield "calls, nothing", calls(q="zzzzzz")
    yield "calls, our id", calls(q=_of(shelf.ids))
    yield "calls, with gaps", calls(gaps="on")
    yield "calls, with alarms", calls(alarms="on")
    yield "calls, at least 5 minutes", calls(minutes=5)
    yield "calls, longer than any", calls(minutes=600)
    yield (
        "calls, all at once",
        calls(state="interrupted", q="+4915", gaps="on", until=shelf.date, minutes=1),
    )


def _console_pages(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    yield "page of a call", lambda random: f"/calls/{random.choice(shelf.ids)}/"
    yield "page of a 10 min call", lambda random: f"/calls/{random.choice(shelf.long_calls)}/"
    yield (
        "timeline of a 10 min call",
        lambda random: f"/calls/{random.choice(shelf.long_calls)}/timeline",
    )
    yield "dashboard", lambda _random: "/"


def _admin_lists(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    dates = {
        "call": "started_at",
        "participant": "heard_at",
        "subscription": "connected_at",
        "segment": "sealed_at",
        "ledgerentry": "started_at",
    }
    for model, moment in dates.items():
        yield model, _admin(model)
        yield f"{model}, page 100", _admin(model, p=100)
        yield (
            f"{model}, a day",
            _admin(model, **{f"{moment}_{end}": shelf.date for end in ("since", "until")}),
        )
        yield f"{model}, until a day", _admin(model, **{f"{moment}_until": shelf.date})
        yield (
            f"{model}, of a call",
            _admin(model, **{"q" if model == "call" else "call": _of(shelf.ids)}),
        )
        yield (
            f"{model}, search, connection",
            _admin(model, q=lambda random: random.choice(shelf.calls).call_connection_id),
        )
        yield f"{model}, search, number", _admin(model, q=_of(shelf.numbers))
        yield f"{model}, search, 6 digits", _admin(model, q=shelf.part)
        yield f"{model}, search, 4 digits", _admin(model, q=lambda random: shelf.part(random, 4))
        yield f"{model}, search, +49", _admin(model, q="+49")
        yield f"{model}, search, nothing", _admin(model, q="zzzzzz")
        yield f"{model}, search, 2 digits", _admin(model, q="49")


def _admin_filters(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    for state in ("live", "ended", "interrupted"):
        yield f"call, state={state}", _admin("call", state=state)
    for kind in ("phone", "bot"):
        yield f"call, kind={kind}", _admin("call", kind=kind)
        yield f"participant, kind={kind}", _admin("participant", kind__exact=kind)
    for state in ("open", "closed", "broken"):
        yield f"subscription, state={state}", _admin("subscription", state=state)
    yield "ledgerentry, kind=gap", _admin("ledgerentry", kind__exact="gap")
    yield "ledgerentry, kind=alarm", _admin("ledgerentry", kind__exact="alarm")
    yield "segment, of a participant", _admin("segment", participant=_of(shelf.voices))
    yield "ledgerentry, of a participant", _admin("ledgerentry", participant=_of(shelf.voices))
    yield (
        "call, all at once",
        _admin("call", state="interrupted", kind="phone", q="+4915", started_at_until=shelf.date),
    )


def _admin_pages(shelf: _Shelf) -> Iterator[tuple[str, Make]]:
    yield "page of a call", lambda random: f"/admin/calls/call/{random.choice(shelf.ids)}/change/"
    yield (
        "page of a participant",
        lambda random: f"/admin/calls/participant/{random.choice(shelf.voices)}/change/",
    )
    yield (
        "page of a segment",
        lambda random: f"/admin/calls/segment/{random.choice(shelf.segments)}/change/",
    )


def _list(path: str, **makers: Any) -> Make:
    """Returns a maker of URLs whose query has constant and random values."""

    def url(random: Random) -> str:
        values = {name: make(random) if callable(make) else make for name, make in makers.items()}
        return f"{path}?{urlencode(values)}"

    return url


def _admin(model: str, **makers: Any) -> Make:
    def path(random: Random) -> str:
        # the same day for both ends of a span
        day = random.random()
        values = {
            name: make(Random(day)) if callable(make) else make for name, make in makers.items()
        }
        return f"/admin/calls/{model}/?{urlencode(values)}"

    return path


def _of(values: list[Any]) -> Make:
    return lambda random: str(random.choice(values))
