"""One participant's audio on the axis of an export, as runs. PURE.

A run at the rate of the export is one segment, so that a range reads only the segments it needs.
At another rate a run joins segments that follow each other sample by sample, because they are
resampled as one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

from calls.export.axis import Axis, SegmentRef


@dataclass(frozen=True, slots=True)
class Run:
    """Samples `first` to `last` (exclusive) of the axis, made from segments without a gap between
    them.
    """

    first: int
    last: int
    sample_rate: int
    """Sample rate of the segments in Hz."""
    segments: tuple[SegmentRef, ...]

    @property
    def sample_count(self) -> int:
        """Samples at the run's own rate."""
        return self.segments[-1].end_sample - self.segments[0].start_sample


class ExportTrack:
    """The runs of one participant, found by position. Runs overlap where a clock stepped back."""

    def __init__(self, participant_id: UUID, segments: Iterable[SegmentRef], axis: Axis) -> None:
        self.participant_id = participant_id
        self.segments = tuple(
            sorted(segments, key=lambda segment: segment.start_sample / segment.sample_rate)
        )
        self.runs = sorted(self._make_runs(axis), key=lambda run: (run.first, run.last))
        self._firsts = [run.first for run in self.runs]
        # The furthest end of the runs up to each one: never decreasing, so that overlapping runs
        # can be bisected too.
        self._furthest = list(accumulate((run.last for run in self.runs), max))

    def runs_in(self, first: int, last: int) -> Iterator[Run]:
        """Returns the runs that have samples in [first, last), in order."""
        begin, end = bisect_right(self._furthest, first), bisect_left(self._firsts, last)
        return (run for run in self.runs[begin:end] if run.last > first)

    def segments_in(self, first: int, last: int) -> Iterator[tuple[int, SegmentRef]]:
        """Yields (position, segment) for the segments that have samples in [first, last), in order.

        Positions within a run of several segments are exact to one sample.
        """
        for run in self.runs_in(first, last):
            origin, scale = run.segments[0].start_sample, (run.last - run.first) / run.sample_count
            for segment in run.segments:
                position = run.first + round((segment.start_sample - origin) * scale)
                if position < last and first < position + round(segment.sample_count * scale):
                    yield position, segment

    def _make_runs(self, axis: Axis) -> Iterator[Run]:
        joined: list[SegmentRef] = []
        for segment in self.segments:
            # At another rate, a segment is resampled together with the one that it continues.
            continues = (
                joined
                and joined[-1].sample_rate == segment.sample_rate != axis.sample_rate
                and joined[-1].end_sample == segment.start_sample
            )
            if joined and not continues:
                yield _run(joined, axis)
                joined = []
            joined.append(segment)
        if joined:
            yield _run(joined, axis)


def _run(segments: list[SegmentRef], axis: Axis) -> Run:
    rate = segments[0].sample_rate
    first = axis.place(segments[0].start_sample, rate)
    return Run(first, axis.place(segments[-1].end_sample, rate), rate, tuple(segments))
