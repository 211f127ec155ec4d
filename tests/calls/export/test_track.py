"""Runs of a track: joined where they are resampled, found by position."""

from __future__ import annotations

from unittest import TestCase
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from calls.export.axis import Axis, SegmentRef
from calls.export.track import ExportTrack

RATE = 16_000
SPANS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 800)), max_size=8)


def segment(start: int, count: int) -> SegmentRef:
    return SegmentRef(uuid4(), start, count, RATE, "", "")


def track(*segments: SegmentRef, rate: int = RATE) -> ExportTrack:
    return ExportTrack(uuid4(), segments, Axis.from_segments([segment(0, 1)], rate))


class RunTests(TestCase):
    def test_at_the_rate_of_the_export_every_segment_is_a_run(self) -> None:
        runs = track(segment(100, 50), segment(0, 100)).runs
        self.assertEqual([(run.first, run.last) for run in runs], [(0, 100), (100, 150)])

    def test_at_another_rate_adjoining_segments_are_one_run(self) -> None:
        runs = track(segment(0, 100), segment(100, 60), segment(161, 40), rate=24_000).runs
        self.assertEqual([(run.first, run.last) for run in runs], [(0, 240), (242, 302)])
        self.assertEqual([run.sample_count for run in runs], [160, 40])

    def test_a_track_without_segments_has_no_runs(self) -> None:
        empty = track()
        self.assertEqual(list(empty.runs_in(0, 100)), [])
        self.assertEqual(list(empty.segments_in(0, 100)), [])


class SearchTests(TestCase):
    @given(SPANS, st.integers(0, 6_000), st.integers(1, 2_000))
    def test_runs_are_found_by_position_also_where_they_overlap(
        self, spans: list[tuple[int, int]], first: int, count: int
    ) -> None:
        searched = track(*(segment(*span) for span in spans))
        last = first + count
        expected = [run for run in searched.runs if run.first < last and first < run.last]
        self.assertEqual(list(searched.runs_in(first, last)), expected)

    @given(SPANS, st.integers(0, 6_000), st.integers(1, 2_000))
    def test_segments_are_found_at_their_exact_position_at_the_rate_of_the_export(
        self, spans: list[tuple[int, int]], first: int, count: int
    ) -> None:
        searched = track(*(segment(*span) for span in spans))
        last = first + count
        expected = [run for run in searched.runs if run.first < last and first < run.last]
        found = list(searched.segments_in(first, last))
        self.assertEqual(
            [(position, (ref,)) for position, ref in found],
            [(run.first, run.segments) for run in expected],
        )

    def test_segments_within_a_run_are_found_by_position(self) -> None:
        segments = [segment(second * RATE, RATE) for second in range(5)]
        found = list(track(*segments, rate=24_000).segments_in(24_000, 3 * 24_000))
        self.assertEqual(found, [(24_000, segments[1]), (48_000, segments[2])])
