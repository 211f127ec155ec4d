"""Delays of packets, from the timestamps in journals and from outside observation. PURE.

The recorder reports `arrived_us`. To verify it, growing files are sampled: by Little's law the mean
number of packets that have arrived but are not in the file is their rate times the mean delay
between the two. And a packet that is due and not in its file yet has a known age, independent of
the recorder's report.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.histogram import Histogram
from bench.records import PacketRecord


@dataclass(slots=True)
class Arrivals:
    """All times are relative to the moment at which a packet was due."""

    lag: Histogram = field(default_factory=Histogram)
    """Delay to `arrived_us`."""
    unwritten: Histogram = field(default_factory=Histogram)
    """Age of the oldest packet missing in its file, per sample; 0 if none was missing."""
    samples: int = 0
    missing: int = 0
    """Packets with an earlier `arrived_us` that were not in the file, summed over all samples."""
    packets: int = 0
    seconds: float = 0.0

    @property
    def hidden_ms(self) -> float | None:
        """Mean delay between `arrived_us` and the file."""
        if not self.samples or not self.packets:
            return None
        return 1000 * (self.missing / self.samples) / (self.packets / self.seconds)

    def add_file(
        self, packets: Sequence[PacketRecord], fraction_us: int, window_us: tuple[int, int]
    ) -> None:
        """Adds the packets of a file; `fraction_us` is the part missing in their timestamps."""
        first, end = window_us
        within = [one for one in packets if first <= one.timestamp_us + fraction_us < end]
        self.lag.add_all(one.arrived_us - one.timestamp_us - fraction_us for one in within)
        self.packets += len(within)
        if within:
            self.seconds += (within[-1].timestamp_us - within[0].timestamp_us) / 1_000_000

    def add_samples(
        self, packets: Sequence[PacketRecord], fraction_us: int, samples: Iterable[tuple[int, int]]
    ) -> None:
        """Adds samples of the file's size, (time, size). Samples after its last packet are
        ignored.
        """
        ends = [one.end for one in packets]
        for at_us, size in samples:
            if not packets or at_us > packets[-1].timestamp_us:
                continue
            missing = packets[bisect_right(ends, size) :]
            due = missing[0].timestamp_us + fraction_us
            self.unwritten.add(at_us - due)
            self.missing += sum(1 for one in missing[:64] if one.arrived_us <= at_us)
            self.samples += 1
