"""Laws of placement, for any stored and new audio."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.sealing.digest import SealedSegment
from tests.streams.sealing.overlaps.tracks import (
    NEW,
    PACKET,
    START,
    Track,
    have_no_overlap,
    joined,
    new,
    packets_of,
    voice,
)

story = st.lists(
    st.tuples(st.integers(1, 12), st.integers(0, 9), st.integers(-700, 700)), max_size=4
)
"""Packets, a pause in packets, and how far the timeline deviates."""


def segments_of(parts: list[tuple[int, int, int]], first: int) -> list[SealedSegment]:
    """Returns segments in order; each packet has the number of its place, from `first` on."""
    segments: list[SealedSegment] = []
    number = 0
    for count, pause, deviation in parts:
        number += pause
        end = segments[-1].end_sample - START if segments else -9999
        start = max(end, number * PACKET + deviation)
        segments.append(new(start, voice(first + number, first + number + count)))
        number += count
    return segments


class Laws(TestCase):
    @given(story, story, st.booleans(), st.booleans())
    def test_each_packet_is_kept_once_and_nothing_overlaps(
        self,
        before: list[tuple[int, int, int]],
        after: list[tuple[int, int, int]],
        same: bool,
        own: bool,
    ) -> None:
        track = Track()
        for one in segments_of(before, 0):
            track.store(one.start_sample - START, one.pcm, NEW if own else "old")
        segments = segments_of(after, 0 if same and not own else 200)
        placement = track.place(segments)
        places = track.after(placement)
        self.assertTrue(have_no_overlap(places))
        sent = [*packets_of(track.pcm.values()), *packets_of(one.pcm for one in segments)]
        kept = packets_of(pcm for _, pcm in joined(places))
        self.assertEqual(set(kept), set(sent))
        self.assertEqual(len(sent) - len(kept), placement.duplicate)
        if not same or own:
            self.assertEqual((len(kept), placement.duplicate), (len(sent), 0))

    @given(story, story)
    def test_stored_audio_never_moves_earlier(
        self, before: list[tuple[int, int, int]], after: list[tuple[int, int, int]]
    ) -> None:
        track = Track()
        for one in segments_of(before, 0):
            track.store(one.start_sample - START, one.pcm)
        placement = track.place(segments_of(after, 200))
        for move in placement.moves:
            self.assertGreater(move.start_sample, move.stored.start_sample)
        order = [move.stored.start_sample for move in placement.moves]
        self.assertEqual(order, sorted(order))
