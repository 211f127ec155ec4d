"""The age of levels in a browser, and the detection of levels that are too old."""

from __future__ import annotations

import json
from unittest import TestCase

from bench.histogram import Histogram
from bench.levels import Rises

BEGUN_US = 1_000_000_000
EVER = (0, 2**62)


def messages(delay_us: int, *, until_us: int = 20_000_000) -> list[tuple[int, bytes]]:
    """Returns ten levels a second of one voice, each `delay_us` old."""
    found = []
    for at_us in range(0, until_us, 100_000):
        peak = 0.0 if at_us // 1_000_000 % 2 == 0 else -12.0
        text = json.dumps({"type": "levels", "levels": {"a": [peak - 5, peak]}})
        found.append((BEGUN_US + at_us + delay_us, text.encode()))
    return found


def rises_of(sent: list[tuple[int, bytes]]) -> Rises:
    rises = Rises()
    for at_us, text in sent:
        rises.add(at_us, text)
    return rises


def latencies(
    sent: list[tuple[int, bytes]], begun_us: dict[str, int], window_us: tuple[int, int]
) -> Histogram:
    return rises_of(sent).latencies(begun_us, window_us)


class Latencies(TestCase):
    def test_the_delay_of_each_rise_is_found(self) -> None:
        for delay_ms in (40, 240, 900):
            found = latencies(messages(delay_ms * 1000), {"a": BEGUN_US}, EVER)
            self.assertEqual(found.total, 9)
            self.assertEqual(found.quantile_ms(0.95), delay_ms + 0.1)

    def test_only_the_window_counts(self) -> None:
        window = (BEGUN_US + 3_000_000, BEGUN_US + 7_000_000)
        self.assertEqual(latencies(messages(40_000), {"a": BEGUN_US}, window).total, 2)

    def test_unknown_participants_and_other_messages_are_ignored(self) -> None:
        other = [(BEGUN_US, b'{"type":"snapshot","calls":[]}')]
        self.assertEqual(latencies(other + messages(40_000), {"b": BEGUN_US}, EVER).total, 0)

    def test_the_last_loud_message_reveals_a_queue(self) -> None:
        self.assertEqual(
            rises_of(messages(5_000_000)).last_loud_us, BEGUN_US + 18_900_000 + 5_000_000
        )
        self.assertEqual(rises_of([]).last_loud_us, 0)
