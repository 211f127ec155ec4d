"""Lag as the recorder reports it, and as observed from outside."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from bench.arrival import Arrivals
from bench.records import PacketRecord, packet_records_in
from streams.journal.files import Journal
from streams.journal.records import Audio, Handshake, Voice

EVER = (0, 2**62)
RECORD_BYTES = 670


def file(delay_us: int, packets: int = 1000) -> list[PacketRecord]:
    """Returns a packet every 10 ms, whose `arrived_us` is `delay_us` after its due time."""
    return [
        PacketRecord(
            number * 10_000, number * 10_000 + delay_us, number % 2, (number + 1) * RECORD_BYTES
        )
        for number in range(packets)
    ]


def samples(written_after_us: int) -> list[tuple[int, int]]:
    """Samples a file every 700 µs, in which a packet appears `written_after_us` after its
    due time.
    """
    return [
        (at_us, max(0, (at_us - written_after_us) // 10_000 + 1) * RECORD_BYTES)
        for at_us in range(100_000, 9_000_000, 700)
    ]


class Records(TestCase):
    def test_a_journal_of_the_recorder_is_read(self) -> None:
        folder = Path(self.enterContext(TemporaryDirectory()))
        journal = Journal(folder, Handshake("s", "c", "bench-1", "", 0, 10.0))
        journal.append(Voice(0, "4:+1555"))
        for number in range(3):
            journal.append_audio(
                [Audio(number * 20_000, number * 20_000 + 7, 0, silent=False, pcm=bytes(640))]
            )
        [path] = folder.iterdir()
        found = list(packet_records_in(path.read_bytes()))
        self.assertEqual([one.timestamp_us for one in found], [0, 20_000, 40_000])
        self.assertEqual([one.arrived_us for one in found], [7, 20_007, 40_007])
        self.assertEqual(found[-1].end, path.stat().st_size)
        self.assertEqual(
            list(packet_records_in(path.read_bytes()[:-1])), found[:-1], "a torn tail is no record"
        )
        os.close(journal.finish())

    def test_invalid_content_is_an_error(self) -> None:
        with self.assertRaises(ValueError):
            list(packet_records_in(b"ACSJRNL1" + b"something else"))


class Lag(TestCase):
    def test_lag_starts_when_a_packet_was_due(self) -> None:
        arrivals = Arrivals()
        arrivals.add_file(file(4_000), 500, EVER)
        self.assertEqual(arrivals.lag.quantile_ms(0.99), 3.6)

    def test_only_the_window_counts(self) -> None:
        arrivals = Arrivals()
        arrivals.add_file(file(4_000), 0, (1_000_000, 2_000_000))
        self.assertEqual(arrivals.lag.total, 100)


class HiddenDelays(TestCase):
    def seen(self, said_us: int, written_us: int) -> Arrivals:
        arrivals = Arrivals()
        arrivals.add_file(file(said_us), 0, EVER)
        arrivals.add_samples(file(said_us), 0, samples(written_us))
        return arrivals

    def test_a_correct_report_hides_nothing(self) -> None:
        arrivals = self.seen(3_000, 3_000)
        self.assertEqual(arrivals.hidden_ms, 0.0)
        self.assertLess(arrivals.unwritten.quantile_ms(1.0) or 0, 3.2)

    def test_a_write_later_than_reported_is_found(self) -> None:
        arrivals = self.seen(3_000, 123_000)
        self.assertAlmostEqual(arrivals.hidden_ms or 0, 120.0, delta=1.5)
        self.assertGreater(arrivals.unwritten.quantile_ms(0.99) or 0, 120)

    def test_samples_after_the_last_packet_are_ignored(self) -> None:
        arrivals = Arrivals()
        arrivals.add_samples(file(0, packets=10), 0, [(10_000_000, 10 * RECORD_BYTES)])
        self.assertEqual(arrivals.samples, 0)
