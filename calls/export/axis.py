"""Where samples lie: one zero for all tracks of a call, one rate for an export, places in whole
samples. PURE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A segment as an export needs it: its place since the epoch at its own rate, its object, its
    hash.
    """

    segment_id: UUID
    start_sample: int
    sample_count: int
    sample_rate: int
    audio_name: str
    sha256: str

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.sample_count


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis of a call at `sample_rate` Hz: sample 0 lies `zero` seconds after the epoch,
    exactly.
    """

    zero: Fraction
    sample_rate: int
    length: int
    """From the zero to the end of the last track, in samples."""

    @classmethod
    def of(cls, stretches: Iterable[SegmentRef], sample_rate: int | None = None) -> Axis:
        """The axis that holds `stretches` (at least one), at their highest rate unless one is
        given.
        """
        return cls.over(_extents(stretches), sample_rate)

    @classmethod
    def over(cls, extents: Mapping[int, tuple[int, int]], sample_rate: int | None = None) -> Axis:
        """The axis from the first to the last sample (exclusive), given for each rate that
        occurs.
        """
        zero = min(Fraction(start, rate) for rate, (start, _) in extents.items())
        axis = cls(zero, sample_rate or max(extents), length=0)
        length = max(axis.place(end, rate) for rate, (_, end) in extents.items())
        return cls(zero, axis.sample_rate, length)

    def place(self, sample: int, sample_rate: int) -> int:
        """Where a sample since the epoch at `sample_rate` lies on this axis: the nearest whole
        sample, half goes up.

        Places keep order and neighbourhood: where one stretch ends at the start of another, so do
        their places.
        """
        numerator = (
            sample * self.zero.denominator - self.zero.numerator * sample_rate
        ) * self.sample_rate
        denominator = sample_rate * self.zero.denominator
        return (2 * numerator + denominator) // (2 * denominator)

    def at_rate(self, sample_rate: int) -> Axis:
        """The same zero, counted in samples at another rate."""
        return replace(
            self, sample_rate=sample_rate, length=-(-self.length * sample_rate // self.sample_rate)
        )

    def seconds(self, sample: int, sample_rate: int) -> float:
        """Seconds from the zero to a sample since the epoch."""
        return float(Fraction(sample, sample_rate) - self.zero)


def _extents(stretches: Iterable[SegmentRef]) -> dict[int, tuple[int, int]]:
    """First and last sample by rate."""
    extents: dict[int, tuple[int, int]] = {}
    for stretch in stretches:
        start, end = extents.get(stretch.sample_rate, (stretch.start_sample, stretch.end_sample))
        extents[stretch.sample_rate] = (
            min(start, stretch.start_sample),
            max(end, stretch.end_sample),
        )
    assert extents, "an axis needs at least one stretch"
    return extents
