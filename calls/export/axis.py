"""The time axis of a call: one zero for all tracks, one sample rate for an export, positions in
whole samples. PURE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A stored segment as exports use it: position in samples since the epoch at its own rate, the
    name of its object, and its hash.
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
    """The axis of a call at `sample_rate` Hz. Sample 0 is exactly `zero` seconds after the
    epoch.
    """

    zero: Fraction
    sample_rate: int
    length: int
    """Samples from the zero to the end of the last track."""

    @classmethod
    def from_segments(cls, segments: Iterable[SegmentRef], sample_rate: int | None = None) -> Axis:
        """Returns the axis of `segments` (at least one), by default at their highest rate."""
        extents: dict[int, tuple[int, int]] = {}
        for segment in segments:
            start, end = segment.start_sample, segment.end_sample
            first, last = extents.get(segment.sample_rate, (start, end))
            extents[segment.sample_rate] = (min(first, start), max(last, end))
        assert extents, "an axis needs at least one segment"
        return cls.from_extents(extents, sample_rate)

    @classmethod
    def from_extents(
        cls, extents: Mapping[int, tuple[int, int]], sample_rate: int | None = None
    ) -> Axis:
        """Returns the axis from the first sample to the last (exclusive), given for each rate that
        occurs.
        """
        zero = min(Fraction(start, rate) for rate, (start, _) in extents.items())
        axis = cls(zero, sample_rate or max(extents), length=0)
        length = max(axis.place(end, rate) for rate, (_, end) in extents.items())
        return cls(zero, axis.sample_rate, length)

    def place(self, sample: int, sample_rate: int) -> int:
        """Returns the position on this axis of a sample that is counted since the epoch at
        `sample_rate`: the nearest whole sample, half rounds up.

        Positions keep their order, and segments that adjoin still adjoin.
        """
        numerator = (
            sample * self.zero.denominator - self.zero.numerator * sample_rate
        ) * self.sample_rate
        denominator = sample_rate * self.zero.denominator
        return (2 * numerator + denominator) // (2 * denominator)

    def at_rate(self, sample_rate: int) -> Axis:
        """Returns the same axis counted in samples at another rate."""
        return replace(
            self, sample_rate=sample_rate, length=-(-self.length * sample_rate // self.sample_rate)
        )

    def seconds(self, sample: int, sample_rate: int) -> float:
        """Returns the seconds from the zero to a sample counted since the epoch."""
        return float(Fraction(sample, sample_rate) - self.zero)
