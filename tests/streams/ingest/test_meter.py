"""Levels in dBFS, and the windows they are measured in."""

from __future__ import annotations

from unittest import TestCase

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.meter import MAX_PACKETS, Meter


def pcm(*samples: int) -> bytes:
    return np.array(samples, dtype="<i2").tobytes()


class Windows(TestCase):
    def test_without_packets_there_is_no_window(self) -> None:
        self.assertIsNone(Meter(16000).take())

    def test_a_window_is_taken_once(self) -> None:
        meter = Meter(16000)
        meter.add(pcm(*[16384] * 320))
        self.assertEqual(meter.take(), pcm(*[16384] * 320))
        self.assertIsNone(meter.take())

    def test_only_the_newest_100_ms_are_taken(self) -> None:
        meter = Meter(16000)
        meter.add(pcm(*[32767] * 320))
        for _ in range(5):
            meter.add(bytes(640))
        self.assertEqual(meter.take(), bytes(5 * 640))

    def test_a_packet_longer_than_a_window_is_taken_whole(self) -> None:
        meter = Meter(16000)
        meter.add(pcm(*[16384] * 5000))
        self.assertEqual(meter.take(), pcm(*[16384] * 5000))

    @given(st.lists(st.integers(1, 2000), max_size=60))
    def test_a_window_is_no_more_than_the_newest_packets_that_fill_it(
        self, lengths: list[int]
    ) -> None:
        meter = Meter(16000)
        packets = [pcm(*[number] * length) for number, length in enumerate(lengths)]
        for packet in packets:
            meter.add(packet)
        window = meter.take() or b""
        self.assertTrue(b"".join(packets).endswith(window))
        self.assertLessEqual(len(window), 2 * (1600 + 2000))
        if len(packets) <= MAX_PACKETS:
            self.assertGreaterEqual(len(window), min(2 * 1600, len(b"".join(packets))))

    def test_packets_never_taken_are_bounded(self) -> None:
        meter = Meter(16000)
        for _ in range(10 * MAX_PACKETS):
            meter.add(bytes(640))
        self.assertEqual(len(meter._newest), MAX_PACKETS)
