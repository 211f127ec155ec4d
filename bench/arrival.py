"""From what journals say, and from when it could be seen in them: how long packets took. PURE.

The recorder's own word is `arrived_us`. To hold it to the truth, files are looked at while they
grow: by Little's law the number of packets that have arrived and are not in the file yet, on
average over many moments, is their rate times the mean delay between the two. And the oldest packet
that is due and not yet in its file is as old as it is, whatever the recorder says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.histogram import Histogram
from bench.records import Heard


@dataclass(slots=True)
class Arrivals:
    """All times from the moment at which a packet was due to be sent."""

    lag: Histogram = field(default_factory=Histogram)
    """To `arrived_us`."""
    unwritten: Histogram = field(default_factory=Histogram)
    """Age of the oldest packet that was not in its file, at each look; 0 where none was missing."""
    looks: int = 0
    missing: int = 0
    """Packets that had arrived, by their own word, and were not in the file, over all looks."""
    packets: int = 0
    seconds: float = 0.0

    @property
    def hidden_ms(self) -> float | None:
        """Mean delay between `arrived_us` and the file."""
        if not self.looks or not self.packets:
            return None
        return 1000 * (self.missing / self.looks) / (self.packets / self.seconds)

    def add_file(
        self, heard: Sequence[Heard], fraction_us: int, window_us: tuple[int, int]
    ) -> None:
        """A file's packets; `fraction_us` is what the timestamps leave out."""
        first, end = window_us
        within = [one for one in heard if first <= one.timestamp_us + fraction_us < end]
        self.lag.add_all(one.arrived_us - one.timestamp_us - fraction_us for one in within)
        self.packets += len(within)
        if within:
            self.seconds += (within[-1].timestamp_us - within[0].timestamp_us) / 1_000_000

    def add_looks(
        self, heard: Sequence[Heard], fraction_us: int, looks: Iterable[tuple[int, int]]
    ) -> None:
        """Looks at the file: when, and how long it was. Looks after its last packet say nothing."""
        ends = [one.end for one in heard]
        for at_us, size in looks:
            if not heard or at_us > heard[-1].timestamp_us:
                continue
            missing = heard[bisect_right(ends, size) :]
            due = missing[0].timestamp_us + fraction_us
            self.unwritten.add(at_us - due)
            self.missing += sum(1 for one in missing[:64] if one.arrived_us <= at_us)
            self.looks += 1
