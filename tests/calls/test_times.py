"""Times of the epoch: exact to the microsecond, rounded down."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from unittest import TestCase
from zoneinfo import ZoneInfo

from calls.times import (
    EPOCH,
    from_microseconds,
    from_sample,
    from_seconds,
    iso_from_microseconds,
    iso_text,
    length_text,
    midnight,
    stamp_text,
    to_microseconds,
)


class Conversions(TestCase):
    def test_microseconds_are_counted_from_the_epoch_in_both_directions(self) -> None:
        self.assertEqual(from_microseconds(0), EPOCH)
        self.assertEqual(from_microseconds(-1), EPOCH - timedelta(microseconds=1))
        self.assertEqual([to_microseconds(from_microseconds(one)) for one in (-1, 7)], [-1, 7])

    def test_a_time_outside_the_calendar_is_an_overflow(self) -> None:
        with self.assertRaises(OverflowError):
            from_microseconds(2**62)

    def test_a_sample_between_two_microseconds_is_rounded_down(self) -> None:
        self.assertEqual(from_sample(1, 24_000), EPOCH + timedelta(microseconds=41))  # 41.67
        self.assertEqual(from_sample(24_000, 24_000), EPOCH + timedelta(seconds=1))

    def test_seconds_are_exact_fractions(self) -> None:
        self.assertEqual(from_seconds(Fraction(1, 3)), EPOCH + timedelta(microseconds=333_333))

    def test_midnight_of_a_zone_makes_days_of_23_24_and_25_hours(self) -> None:
        for zone, day, start, hours in (
            ("Asia/Tokyo", date(2026, 3, 3), "2026-03-02T15:00:00Z", 24),
            ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00:00Z", 23),
            ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00:00Z", 25),
            # Clocks skip midnight, repeat the hour before it, and skip a day.
            ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00:00Z", 23),
            ("Africa/Cairo", date(2026, 10, 29), "2026-10-28T21:00:00Z", 25),
            ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00Z", 0),
        ):
            with self.subTest(f"{zone} {day}"):
                first, last = (
                    midnight(each, ZoneInfo(zone)) for each in (day, day + timedelta(days=1))
                )
                self.assertEqual(iso_text(first), start)
                self.assertEqual(last - first, timedelta(hours=hours))

    def test_texts_have_the_offset_of_their_zone(self) -> None:
        moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
        berlin = ZoneInfo("Europe/Berlin")
        self.assertEqual(iso_text(moment, berlin), "2026-07-01T14:00:00+02:00")
        self.assertEqual(stamp_text(moment, berlin), "20260701T140000+0200")
        self.assertEqual(stamp_text(moment), "20260701T120000Z")

    def test_midnight_is_in_utc(self) -> None:
        self.assertEqual(midnight(date(2026, 1, 31)), datetime(2026, 1, 31, tzinfo=UTC))


class Texts(TestCase):
    def test_a_time_of_any_zone_is_written_in_utc_with_z(self) -> None:
        tokyo = timezone(timedelta(hours=9))
        self.assertEqual(
            iso_text(datetime(2026, 1, 31, 9, 0, 0, 250_000, tokyo)), "2026-01-31T00:00:00.250000Z"
        )

    def test_microseconds_are_written_the_same_way(self) -> None:
        self.assertEqual(iso_from_microseconds(1_500_000), "1970-01-01T00:00:01.500000Z")

    def test_lengths(self) -> None:
        for seconds, text in (
            (0.0, "0 s"),
            (0.04, "0.04 s"),
            (0.4, "0.40 s"),
            (5.0, "5 s"),
            (5.25, "5.2 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (252, "4 min 12 s"),
            (3599.6, "1 h 00 min"),
            (11_100, "3 h 05 min"),
            (3_600_000, "1,000 h 00 min"),
        ):
            with self.subTest(seconds):
                self.assertEqual(length_text(seconds), text)
