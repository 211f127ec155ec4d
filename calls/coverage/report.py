"""The coverage of a range of time: counts, seconds, reasons, bars per hour and day, and its calls.

    report(start, end, zone, target=99.9)   sums for the page, REST and CSV
    calls_of(start, end, ...)               the rows behind it, newest first

A call belongs to the range in which it started, with all of its seconds. Three queries for any
number of calls; the database adds up (index: coverage_sums).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.db import connection
from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
)

from calls.identity import CANARY_PREFIX
from calls.models import COUNTED, CallCoverage, MissingTime, RefusedHandshake
from calls.times import midnight

BAR_SECONDS = 900
"""Hours and days of every time zone in use begin at a quarter of an hour in UTC."""

LONGEST_HOURS = timedelta(days=8)
"""A longer range has bars per day only."""

JUDGED = ("complete", "partial", "missing")
"""Verdicts of calls that were expected."""

Seconds = dict[str, float]
"""By reason."""


@dataclass(slots=True)
class Counts:
    """Calls by verdict. `refused` (audio is missing because ACS was refused) and `more_than_four`
    (a voice may be missing by design) are among the others; `unknown` calls are not judged yet.
    """

    complete: int = 0
    partial: int = 0
    missing: int = 0
    unexpected: int = 0
    unknown: int = 0
    refused: int = 0
    more_than_four: int = 0

    @property
    def expected(self) -> int:
        return self.complete + self.partial + self.missing

    @property
    def captured_ratio(self) -> float | None:
        """Part of the expected calls that is recorded completely; None without expected calls."""
        return self.complete / self.expected if self.expected else None


@dataclass(slots=True)
class Bar:
    """The calls that started in one hour or one day of the viewer's zone, and their seconds."""

    start: datetime
    end: datetime
    calls: Counts = field(default_factory=Counts)
    expected_seconds: float = 0.0
    recorded_seconds: float = 0.0

    @property
    def missing_seconds(self) -> float:
        return self.expected_seconds - self.recorded_seconds


@dataclass(slots=True)
class Report:
    """The coverage of the calls that started from `start` to before `end`.

    Ratios are between 0 and 1, or None if no call was expected; `target` is in percent.
    `refused_handshakes`: handshakes of ACS by reason, also those that named no call.
    `hours` is empty for a range longer than `LONGEST_HOURS`.
    """

    start: datetime
    end: datetime
    zone: tzinfo
    target: float
    calls: Counts
    expected_seconds: float
    recorded_seconds: float
    missing: Seconds
    refused_handshakes: dict[str, int]
    hours: list[Bar]
    days: list[Bar]

    @property
    def missing_seconds(self) -> float:
        return sum(self.missing.values())

    @property
    def captured_ratio(self) -> float | None:
        """Part of the expected seconds that is recorded."""
        return self.recorded_seconds / self.expected_seconds if self.expected_seconds else None

    @property
    def captured_calls_ratio(self) -> float | None:
        return self.calls.captured_ratio

    @property
    def is_on_target(self) -> bool:
        ratio = self.captured_ratio if self.expected_seconds else self.captured_calls_ratio
        return ratio is None or ratio * 100 >= self.target


def report(start: datetime, end: datetime, zone: tzinfo, *, target: float) -> Report:
    """Returns the coverage of the calls that started from `start` to before `end`; `zone` gives the
    bars their hours and days.
    """
    total, hours, days = _added_up(start, end, zone)
    return Report(
        start=start,
        end=end,
        zone=zone,
        target=target,
        calls=total.calls,
        expected_seconds=total.expected_seconds,
        recorded_seconds=total.recorded_seconds,
        missing=_missing(start, end),
        refused_handshakes=_refused_handshakes(start, end),
        hours=hours,
        days=days,
    )


def _added_up(start: datetime, end: datetime, zone: tzinfo) -> tuple[Bar, list[Bar], list[Bar]]:
    """Returns the sums of the range, and those of its hours (if it is not long) and days."""
    is_short = end - start <= LONGEST_HOURS
    hours = _bars(start, end, zone, _hour_of) if is_short else {}
    days = _bars(start, end, zone, _day_of)
    total = Bar(start, end)
    for at, sums in _sums_by_time(start, end, zone, is_short=is_short, days=list(days)):
        _add(total, sums)
        _add(days[_day_of(at, zone)], sums)
        if is_short:
            _add(hours[_hour_of(at, zone)], sums)
    return total, list(hours.values()), list(days.values())


def calls_of(
    start: datetime, end: datetime, *, verdict: str = "", reason: str = ""
) -> QuerySet[CallCoverage]:
    """Returns the calls of the range, newest first, each with its `missing` spans loaded.

    `reason`: only calls with missing time of this reason.
    """
    calls = _in_range(start, end)
    if verdict:
        calls = calls.filter(verdict=verdict)
    if reason:
        spans = MissingTime.objects.filter(coverage=OuterRef("pk"), reason=reason).order_by()
        # Calls with missing time are never complete: said again, so that their index is used.
        calls = calls.filter(~Q(verdict="complete"), Exists(spans))
    return calls.prefetch_related("missing").order_by("-started_at", "-id")


def _in_range(start: datetime, end: datetime) -> QuerySet[CallCoverage]:
    return CallCoverage.objects.filter(COUNTED, started_at__gte=start, started_at__lt=end)


class _Bin(Func):
    """The start of a bin of time, counted from the epoch: cheaper than a day in a time zone."""

    output_field = DateTimeField()

    def __init__(self, field: str, seconds: int) -> None:
        super().__init__(F(field))
        self._seconds = seconds

    def as_postgresql(self, compiler: Any, connection: Any, **options: Any) -> Any:
        template = f"date_bin('{self._seconds} s', %(expressions)s, 'epoch'::timestamptz)"
        return self.as_sql(compiler, connection, template=template, **options)

    def as_sqlite(self, compiler: Any, connection: Any, **options: Any) -> Any:
        number = f"CAST(strftime('%%%%s', %(expressions)s) AS INTEGER) / {self._seconds}"
        template = f"datetime({number} * {self._seconds}, 'unixepoch')"
        return self.as_sql(compiler, connection, template=template, **options)


class _Day(Func):
    """The number of the day of a list that begins at these moments, counted from 1. Postgres only:
    cheaper than its time zones, and a year has 366 sums instead of 8,760.
    """

    output_field = IntegerField()
    template = "width_bucket(%(expressions)s::timestamptz[])"

    def __init__(self, field: str, begins: Sequence[datetime]) -> None:
        texts = ",".join(f'"{moment.isoformat()}"' for moment in begins)
        super().__init__(F(field), Value(f"{{{texts}}}"))


@dataclass(frozen=True, slots=True)
class _Sums:
    """Calls of one verdict."""

    verdict: str
    count: int
    refused: int
    more_than_four: int
    expected_seconds: float
    recorded_seconds: float


def _sums_by_time(
    start: datetime, end: datetime, zone: tzinfo, *, is_short: bool, days: Sequence[datetime]
) -> Iterator[tuple[datetime, _Sums]]:
    """Yields sums with a moment of their hour, or of their day in a long range."""
    if is_short or connection.vendor != "postgresql":
        yield from _sums(start, end, _Bin("started_at", _bin_seconds(start, end, zone)))
    else:
        for number, sums in _sums(start, end, _Day("started_at", days)):
            yield days[number - 1], sums


def _sums(start: datetime, end: datetime, key: Func) -> Iterator[tuple[Any, _Sums]]:
    """Yields sums of the calls with the same key, by verdict."""
    rows = (
        _in_range(start, end)
        .order_by()
        .values_list(key, "verdict")
        .annotate(
            count=Count("*"),
            refused=Count("started_at", filter=Q(is_refused=True)),
            more=Count("started_at", filter=Q(more_than_four=True)),
            expected=Sum("expected_seconds"),
            recorded=Sum("recorded_seconds"),
        )
    )
    for at, *sums in rows:
        yield at, _Sums(*sums)


def _bin_seconds(start: datetime, end: datetime, zone: tzinfo) -> int:
    """Returns a length of bins of which each lies within one hour and one day of the zone."""
    offsets = [moment.astimezone(zone).utcoffset() or timedelta() for moment in (start, end)]
    has_whole_hours = not any(offset % timedelta(hours=1) for offset in offsets)
    return 3600 if has_whole_hours else BAR_SECONDS


def _add(bar: Bar, sums: _Sums) -> None:
    counts = bar.calls
    setattr(counts, sums.verdict, getattr(counts, sums.verdict) + sums.count)
    counts.refused += sums.refused
    counts.more_than_four += sums.more_than_four
    if sums.verdict in JUDGED:
        bar.expected_seconds += sums.expected_seconds
        bar.recorded_seconds += sums.recorded_seconds


def _hour_of(at: datetime, zone: tzinfo) -> datetime:
    """Returns the start of the hour in the zone, in UTC: when clocks are set back, an hour comes
    twice.
    """
    local = at.astimezone(zone)
    return at - timedelta(
        minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )


def _day_of(at: datetime, zone: tzinfo) -> datetime:
    """Returns the start of the day in the zone, in UTC."""
    return midnight(at.astimezone(zone).date(), zone)


def _bars(
    start: datetime, end: datetime, zone: tzinfo, begin_of: Callable[[datetime, tzinfo], datetime]
) -> dict[datetime, Bar]:
    """Returns empty bars for a range, by their start in UTC."""
    starts = []
    at = begin_of(start.astimezone(UTC), zone)
    while at < end:
        starts.append(at)
        # A day has 23 to 25 hours: the day after is never further away than 36 hours.
        step = timedelta(hours=1) if begin_of is _hour_of else timedelta(hours=36)
        at = begin_of(at + step, zone)
    ends = [*starts[1:], at]
    return {
        one: Bar(one.astimezone(zone), after.astimezone(zone))
        for one, after in zip(starts, ends, strict=True)
    }


def _missing(start: datetime, end: datetime) -> Seconds:
    """Returns the missing seconds of the calls in the range by reason, the largest first."""
    spans = MissingTime.objects.filter(
        # said again, so that the index coverage_faults is used: others have no missing time
        coverage__in=_in_range(start, end).filter(~Q(verdict="complete")).order_by()
    )
    return _largest_first(spans.order_by().values_list("reason").annotate(Sum("seconds")))


def _refused_handshakes(start: datetime, end: datetime) -> dict[str, int]:
    refused = RefusedHandshake.objects.filter(
        last_at__gte=start, first_at__lt=end, from_acs=True
    ).exclude(call_connection_id__startswith=CANARY_PREFIX)
    return _largest_first(refused.order_by().values_list("reason").annotate(Sum("count")))


def _largest_first(sums: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(sums, key=lambda one: (-one[1], one[0])))
