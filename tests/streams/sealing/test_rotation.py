"""Rotation of journals: the digest of a socket does not depend on its cut into files."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.journal.records import Audio, Dtmf, Record
from tests.streams.journals import files_of, handshake_of, metadata_of, records_of
from tests.streams.packets import RATE, START_US, speech
from tests.streams.sealed import closed, seal


class Rotation(TestCase):
    """Sealing a socket in one file gives the same as in many, with the state on disk between
    them.
    """

    @staticmethod
    def records(loss: list[int], swaps: list[int], rate_change: int | None) -> list[Record]:
        spoken = [*speech(260), *speech(260, participant="q")]
        packets = sorted(
            (packet for packet in spoken if packet.number % 97 not in loss),
            key=lambda packet: packet.spoken_us,
        )
        for place in swaps:
            packets[place : place + 2] = reversed(packets[place : place + 2])
        for place in swaps[:2]:
            packets.insert(place + 3, packets[place])
        records: list[Record] = []
        if rate_change is None:
            records = records_of(packets)
        else:
            after = [replace(packet, rate=24_000) for packet in packets[rate_change:]]
            records = records_of([*packets[:rate_change], *after])
            audio = [number for number, record in enumerate(records) if isinstance(record, Audio)]
            records.insert(
                audio[rate_change], metadata_of(1, 24_000, packets[rate_change].spoken_us)
            )
        records.insert(len(records) // 2, Dtmf(START_US, "7"))
        return [*records, closed()]

    @settings(max_examples=60)
    @given(
        st.lists(st.integers(0, 96), max_size=5),
        st.lists(st.integers(0, 300), max_size=4),
        st.none() | st.integers(10, 300),
        st.sets(st.integers(1, 510), max_size=8),
    )
    def test_rotation_changes_no_sample_no_position_and_no_fact(
        self, loss: list[int], swaps: list[int], rate_change: int | None, cuts: set[int]
    ) -> None:
        records, handshake = self.records(loss, swaps, rate_change), handshake_of()
        whole = seal(files_of(records, [], handshake), last=False)
        pieces = seal(files_of(records, cuts, handshake), last=False)
        for raw_id in ("p", "q"):
            self.assertEqual(pieces.samples(raw_id), whole.samples(raw_id))
        self.assertEqual(sorted(pieces.gaps, key=repr), sorted(whole.gaps, key=repr))
        self.assertEqual(pieces.facts(), whole.facts())
        self.assertEqual(sorted(map(repr, pieces.entries())), sorted(map(repr, whole.entries())))
        self.assertEqual(pieces.state.timeline.tracks, whole.state.timeline.tracks)

    @settings(max_examples=30)
    @given(st.sets(st.integers(1, 510), max_size=8), st.floats(0.05, 3.0))
    def test_every_sample_is_in_exactly_one_segment_and_none_is_too_long(
        self, cuts: set[int], segment_seconds: float
    ) -> None:
        records = self.records([], [], None)
        sealed = seal(files_of(records, cuts, handshake_of(segment_seconds=segment_seconds)))
        self.assertEqual(sum(one.sample_count for one in sealed.segments), 2 * 260 * 320)
        self.assertLessEqual(
            max(one.sample_count for one in sealed.segments), segment_seconds * RATE
        )
