"""The report of coverage: counts, seconds and reasons of a range, bars in the viewer's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.test import TestCase

from calls.coverage.report import Report, calls_of, report
from calls.models import CallCoverage, MissingTime, RefusedHandshake, coverage_id_of

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def add(at: datetime, verdict: str = "complete", **values: Any) -> CallCoverage:
    """Adds a call of 100 s, with one span of missing time per reason in `missing`."""
    missing: dict[str, float] = values.pop("missing", {})
    connection = values.pop("connection", f"connection-{uuid4()}")
    lost = sum(missing.values())
    judged = {"expected_seconds": 100.0, "recorded_seconds": 100.0 - lost, "missing_seconds": lost}
    row = CallCoverage.objects.create(
        id=coverage_id_of(connection, ""),
        call_connection_id=connection,
        started_at=at,
        verdict=verdict,
        **(judged | values),
    )
    for reason, seconds in missing.items():
        MissingTime.objects.create(
            coverage=row,
            reason=reason,
            started_at=at,
            ended_at=at + timedelta(seconds=seconds),
            seconds=seconds,
        )
    return row


def refuse(at: datetime, **values: Any) -> None:
    facts = {"reason": "expired", "from_acs": True, "count": 2} | values
    RefusedHandshake.objects.create(
        id=uuid4(), process=uuid4(), first_at=at, last_at=at + timedelta(seconds=5), **facts
    )


def of_day(**values: Any) -> Report:
    return report(DAY, DAY + timedelta(days=1), UTC, **({"target": 99.9} | values))


class Sums(TestCase):
    def test_a_range_without_calls_has_no_ratio_and_is_on_target(self) -> None:
        found = of_day()
        self.assertIsNone(found.captured_ratio)
        self.assertIsNone(found.captured_calls_ratio)
        self.assertTrue(found.is_on_target)
        self.assertEqual((found.expected_seconds, found.missing), (0.0, {}))
        self.assertEqual((len(found.hours), len(found.days)), (24, 1))

    def test_calls_are_counted_by_verdict_and_seconds_by_reason(self) -> None:
        add(DAY + HOUR)
        add(DAY + HOUR)
        add(DAY + HOUR, "partial", missing={"not_received": 5.0, "8603": 2.0}, more_than_four=True)
        add(DAY + HOUR, "missing", missing={"refused_expired": 100.0}, is_refused=True)
        found = of_day()
        counts = found.calls
        self.assertEqual(
            (counts.expected, counts.complete, counts.partial, counts.missing), (4, 2, 1, 1)
        )
        self.assertEqual((counts.refused, counts.more_than_four), (1, 1))
        self.assertEqual(found.expected_seconds, 400.0)
        self.assertEqual(found.recorded_seconds, 293.0)
        self.assertEqual(
            list(found.missing.items()),
            [("refused_expired", 100.0), ("not_received", 5.0), ("8603", 2.0)],
        )
        self.assertEqual(found.missing_seconds, 107.0)
        self.assertEqual(found.captured_ratio, 293 / 400)
        self.assertEqual(found.captured_calls_ratio, 0.5)
        self.assertFalse(found.is_on_target)

    def test_calls_that_were_not_expected_or_not_judged_count_in_no_ratio(self) -> None:
        add(DAY + HOUR)
        add(DAY + HOUR, "unexpected", expected_seconds=0.0, recorded_seconds=50.0)
        add(DAY + HOUR, "unknown", expected_seconds=30.0, recorded_seconds=0.0)
        found = of_day()
        counts = found.calls
        self.assertEqual((counts.expected, counts.unexpected, counts.unknown), (1, 1, 1))
        self.assertEqual((found.expected_seconds, found.recorded_seconds), (100.0, 100.0))
        self.assertTrue(found.is_on_target)

    def test_the_target_is_compared_with_the_part_of_the_seconds(self) -> None:
        add(DAY + HOUR, "partial", missing={"not_received": 1.0})
        self.assertTrue(of_day(target=99.0).is_on_target)
        self.assertFalse(of_day(target=99.1).is_on_target)

    def test_calls_of_no_known_length_are_compared_by_number(self) -> None:
        add(DAY + HOUR, "missing", expected_seconds=0.0, recorded_seconds=0.0)
        found = of_day()
        self.assertIsNone(found.captured_ratio)
        self.assertFalse(found.is_on_target)

    def test_a_call_belongs_to_the_range_in_which_it_started(self) -> None:
        add(DAY)
        add(DAY - timedelta(microseconds=1), "partial", missing={"not_received": 1.0})
        add(DAY + timedelta(days=1), "partial", missing={"not_received": 1.0})
        found = of_day()
        self.assertEqual((found.calls.expected, found.missing), (1, {}))

    def test_canary_calls_are_never_counted(self) -> None:
        add(DAY + HOUR, "missing", connection="canary-1", missing={"never_streamed": 100.0})
        refuse(DAY + HOUR, call_connection_id="canary-1")
        found = of_day()
        self.assertEqual((found.calls.missing, found.missing), (0, {}))
        self.assertEqual(found.refused_handshakes, {})
        self.assertFalse(calls_of(DAY, DAY + timedelta(days=1)).exists())

    def test_refused_handshakes_of_acs_are_counted_by_reason(self) -> None:
        refuse(DAY + HOUR)
        refuse(DAY + HOUR, reason="wrong_audience", count=7)
        refuse(DAY + HOUR, from_acs=False, count=1000)
        refuse(DAY - HOUR, count=1000)
        self.assertEqual(of_day().refused_handshakes, {"wrong_audience": 7, "expired": 2})

    def test_any_range_takes_three_queries(self) -> None:
        for minute in range(30):
            add(DAY + timedelta(minutes=minute))
        with self.assertNumQueries(3):
            of_day()


class Bars(TestCase):
    def test_hours_and_days_are_those_of_the_zone(self) -> None:
        zone = ZoneInfo("Asia/Kathmandu")  # UTC+5:45
        start = datetime(2026, 3, 2, tzinfo=zone)
        add(start + timedelta(minutes=59))
        add(start + timedelta(minutes=60), "partial", missing={"not_received": 3.0})
        add(start + timedelta(hours=23, minutes=59), "missing", missing={"never_streamed": 100.0})
        found = report(start, start + timedelta(days=1), zone, target=99.9)
        self.assertEqual(len(found.hours), 24)
        first, second, last = found.hours[0], found.hours[1], found.hours[-1]
        self.assertEqual(first.start.isoformat(), "2026-03-02T00:00:00+05:45")
        self.assertEqual(first.end, second.start)
        self.assertEqual((first.calls.complete, first.missing_seconds), (1, 0.0))
        self.assertEqual((second.calls.partial, second.missing_seconds), (1, 3.0))
        self.assertEqual((last.calls.missing, last.calls.captured_ratio), (1, 0.0))
        (day,) = found.days
        self.assertEqual((day.start, day.end), (start, start + timedelta(days=1)))
        self.assertEqual((day.calls.expected, day.missing_seconds), (3, 103.0))

    def test_the_day_on_which_clocks_are_set_back_has_an_hour_twice(self) -> None:
        zone = ZoneInfo("Europe/Berlin")
        start, end = datetime(2026, 10, 25, tzinfo=zone), datetime(2026, 10, 26, tzinfo=zone)
        add(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # 02:30 in summer
        add(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))  # 02:30 in winter
        found = report(start.astimezone(UTC), end.astimezone(UTC), zone, target=99.9)
        self.assertEqual(len(found.hours), 25)
        twice = [bar for bar in found.hours if bar.start.hour == 2]
        self.assertEqual([bar.calls.complete for bar in twice], [1, 1])
        self.assertEqual([bar.calls.complete for bar in found.days], [2])

    def test_a_long_range_has_days_only(self) -> None:
        zone = ZoneInfo("America/New_York")
        start, end = datetime(2026, 3, 1, tzinfo=zone), datetime(2026, 4, 1, tzinfo=zone)
        for day in (1, 8, 31):  # clocks are set forward on the 8th
            add(datetime(2026, 3, day, 23, 30, tzinfo=zone))
        found = report(start, end, zone, target=99.9)
        self.assertEqual((found.hours, len(found.days)), ([], 31))
        counted = [bar.start.day for bar in found.days if bar.calls.complete]
        self.assertEqual(counted, [1, 8, 31])
        self.assertEqual(found.days[7].end - found.days[7].start, timedelta(hours=24))
        self.assertEqual(
            found.days[7].end.astimezone(UTC) - found.days[7].start.astimezone(UTC),
            timedelta(hours=23),
        )

    def test_a_range_may_begin_within_an_hour(self) -> None:
        add(DAY + timedelta(minutes=40))
        found = report(DAY + timedelta(minutes=35), DAY + timedelta(minutes=50), UTC, target=99.9)
        (hour,) = found.hours
        self.assertEqual((hour.start, hour.calls.complete), (DAY, 1))


class Rows(TestCase):
    def setUp(self) -> None:
        self.complete = add(DAY + HOUR)
        self.partial = add(DAY + 2 * HOUR, "partial", missing={"not_received": 1.0, "8603": 2.0})
        self.missing = add(DAY + 3 * HOUR, "missing", missing={"never_streamed": 100.0})
        add(DAY + timedelta(days=1))

    def found(self, **filters: str) -> list[CallCoverage]:
        return list(calls_of(DAY, DAY + timedelta(days=1), **filters))

    def test_rows_are_newest_first_with_their_missing_time_in_two_queries(self) -> None:
        with self.assertNumQueries(2):
            rows = self.found()
            reasons = [sorted(span.reason for span in row.missing.all()) for row in rows]
        self.assertEqual(rows, [self.missing, self.partial, self.complete])
        self.assertEqual(reasons, [["never_streamed"], ["8603", "not_received"], []])

    def test_rows_are_filtered_by_verdict_and_reason(self) -> None:
        self.assertEqual(self.found(verdict="complete"), [self.complete])
        self.assertEqual(self.found(reason="8603"), [self.partial])
        self.assertEqual(self.found(verdict="missing", reason="8603"), [])
