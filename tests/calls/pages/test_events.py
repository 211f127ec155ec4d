"""Events of a call as lines: what repeats is folded."""

from __future__ import annotations

from datetime import timedelta
from unittest import TestCase

from calls.pages.events import MAX_LISTED, Event, folded
from calls.wording import event_text, lengths_text
from tests.calls.rows import START


def gap(at: float, seconds: float = 0.07, who: str = "Alice") -> Event:
    return event("gap", at, reason="not_received", seconds=seconds, participant=who)


def event(kind: str, at: float, reason: str = "", **values: object) -> Event:
    text = event_text(kind, reason, {"tone": "5"})
    return Event(kind, reason, text, at, START + timedelta(seconds=at), **values)  # type: ignore[arg-type]


def texts(events: list[Event]) -> list[str]:
    return [line.text for line in folded(events)]


class Folding(TestCase):
    def test_gaps_that_repeat_are_one_line(self) -> None:
        (line,) = folded([gap(at, 0.065 + 0.01 * (at % 2)) for at in range(41)])
        self.assertEqual(line.text, "41 gaps of about 0.07 s: not received")
        self.assertEqual((line.first.at, line.last.at, line.unlisted), (0, 40, 0))
        self.assertAlmostEqual(line.seconds or 0.0, 21 * 0.065 + 20 * 0.075)

    def test_tracks_that_alternate_are_a_line_each(self) -> None:
        events = [gap(at, who=("Alice", "Bob")[at % 2]) for at in range(1032)]
        self.assertEqual(texts(events), ["516 gaps of about 0.07 s: not received"] * 2)

    def test_two_are_not_folded(self) -> None:
        self.assertEqual(texts([gap(0), gap(1)]), ["Audio missing: not received"] * 2)
        self.assertEqual([line.seconds for line in folded([gap(0), gap(1)])], [0.07, 0.07])

    def test_another_event_ends_the_lines_before_it(self) -> None:
        events = [gap(0), gap(1), event("reconnect", 2), gap(3), gap(4), gap(5)]
        self.assertEqual(
            texts(events),
            [
                "2 gaps of about 0.07 s: not received",
                "Reconnected",
                "3 gaps of about 0.07 s: not received",
            ],
        )

    def test_a_long_gap_never_disappears_among_short_ones(self) -> None:
        events = [gap(0), gap(1), gap(2, 90.0), gap(100, 75.0), gap(200, 80.0), gap(300)]
        self.assertEqual([len(line.events) for line in folded(events)], [2, 1, 1, 1, 1])
        events = [gap(0), gap(1), gap(2, 9.0), gap(12), gap(13, 8.0), gap(14, 2.0)]
        self.assertEqual(
            texts(events),
            [
                "3 gaps of about 0.07 s: not received",
                "3 gaps of 2.0 to 9.0 s: not received",
            ],
        )

    def test_the_bounds_of_lengths_belong_to_the_longer_events(self) -> None:
        self.assertEqual(len(folded([gap(at * 100, 60.0) for at in range(3)])), 3)
        events = [*(gap(at, 0.9) for at in range(3)), *(gap(at, 1.0) for at in range(3, 6))]
        self.assertEqual([len(line.events) for line in folded(events)], [3, 3])

    def test_the_order_of_digits_and_active_alarms_stay_visible(self) -> None:
        digits = [event("dtmf", at) for at in range(4)]
        active = [event("alarm", at, "too_low") for at in range(4)]
        self.assertEqual(len(folded(digits + active)), 8)
        past = [event("alarm", at, "too_low", seconds=1.5) for at in range(4)]
        self.assertEqual(texts(past), ["Too quiet, 4 times"])

    def test_events_without_length_are_counted(self) -> None:
        (line,) = folded([event("reconnect", at) for at in range(3)])
        self.assertEqual((line.text, line.seconds), ("Reconnected, 3 times", None))

    def test_a_line_keeps_its_key_when_it_grows_and_lists_a_bounded_number(self) -> None:
        (short,), (long,) = (folded([gap(at) for at in range(n)]) for n in (3, MAX_LISTED + 5))
        self.assertEqual(short.key, long.key)
        self.assertEqual((len(long.listed), long.unlisted), (MAX_LISTED, 5))

    def test_lengths_are_about_their_median_or_a_range(self) -> None:
        self.assertEqual(lengths_text([0.06, 0.07, 0.12]), "about 0.07 s")
        self.assertEqual(lengths_text([0.06, 0.5]), "0.06 to 0.50 s")
        self.assertEqual(lengths_text([1.0, 1.5, 2.0]), "about 1.5 s")
