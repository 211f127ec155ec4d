"""The duplicate filter: recognizes exact duplicates, in bounded memory, alike in every process."""

from __future__ import annotations

from unittest import TestCase

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.timeline.duplicates import (
    MAX_REMEMBERED,
    DuplicateFilter,
    fingerprint,
    fingerprints,
)
from tests.streams.packets import PACKET_US, START_US, speech

packets = st.lists(
    st.tuples(st.integers(0, 40).map(lambda second: second * 1_000_000), st.binary(max_size=2))
)


class Repeats(TestCase):
    def test_repetitions_of_a_packet_are_counted(self) -> None:
        known = DuplicateFilter()
        self.assertEqual([known.repeats(START_US, b"ab") for _ in range(4)], [0, 1, 2, 3])

    def test_other_bytes_or_another_timestamp_make_another_packet(self) -> None:
        known = DuplicateFilter()
        arrived = [
            (START_US, b"ab"),
            (START_US, b"ba"),
            (START_US, b"ab\0"),
            (START_US + 1, b"ab"),
            (START_US + 2**32, b"ab"),
        ]
        self.assertEqual([known.repeats(*packet) for packet in arrived], [0] * 5)

    def test_other_audio_with_the_same_timestamp_is_found(self) -> None:
        known = DuplicateFilter()
        known.repeats(START_US, b"ab")
        known.repeats(START_US + 1, b"cd")
        self.assertFalse(known.has_another_at(START_US, b"ab"))
        self.assertTrue(known.has_another_at(START_US, b"ef"))
        known.repeats(START_US, b"ef")
        self.assertTrue(known.has_another_at(START_US, b"ab"))

    def test_a_repetition_is_known_at_any_timestamp_until_enough_others_came(self) -> None:
        for later_us in (PACKET_US, 3_600_000_000, -3_600_000_000):
            known = DuplicateFilter()
            known.repeats(START_US, b"ab")
            known.repeats(START_US, b"ab")
            for number in range(1, MAX_REMEMBERED):
                known.repeats(START_US + later_us + number, b"cd")
            with self.subTest(later_us=later_us):
                self.assertEqual(known.repeats(START_US, b"ab"), 2)
                known.repeats(START_US + later_us, b"cd")
                self.assertEqual(known.repeats(START_US, b"ab"), 0)

    def test_a_longer_memory_of_another_version_shrinks(self) -> None:
        known = DuplicateFilter(stamps=dict.fromkeys(range(MAX_REMEMBERED + 2), START_US))
        known.repeats(START_US, b"ab")
        self.assertEqual(len(known.stamps), MAX_REMEMBERED + 1)
        known.add([-1, -2], [START_US, START_US])
        self.assertEqual(len(known.stamps), MAX_REMEMBERED)

    def test_the_number_of_packets_is_bounded(self) -> None:
        known = DuplicateFilter()
        for number in range(3 * MAX_REMEMBERED):
            known.repeats(START_US, number.to_bytes(2, "little"))
        self.assertEqual(len(known.stamps), MAX_REMEMBERED)
        self.assertLessEqual(len(known.queue), 2 * MAX_REMEMBERED + 2)

    def test_the_latest_timestamps_are_known(self) -> None:
        known = DuplicateFilter()
        for number in range(4):
            known.repeats(START_US + number, b"ab")
        self.assertEqual(known.latest(3), [START_US + 3, START_US + 2, START_US + 1])


class Batches(TestCase):
    def test_a_known_or_repeated_packet_is_not_new(self) -> None:
        known = DuplicateFilter()
        known.add([1, 2], [START_US, START_US])
        self.assertTrue(known.are_new([3, 4]))
        self.assertFalse(known.are_new([3, 2]))
        self.assertFalse(known.are_new([3, 3]))

    @given(packets, packets)
    def test_a_batch_has_the_same_result_as_single_packets(
        self, before: list[tuple[int, bytes]], arrived: list[tuple[int, bytes]]
    ) -> None:
        single, batched = DuplicateFilter(), DuplicateFilter()
        for packet in before:
            single.repeats(*packet)
            batched.repeats(*packet)
        prints = fingerprints(*zip(*arrived, strict=True)) if arrived else []
        self.assertEqual(prints, [fingerprint(*packet) for packet in arrived])
        if not batched.are_new(prints):
            return
        batched.add(prints, [timestamp_us for timestamp_us, _ in arrived])
        self.assertEqual([single.repeats(*packet) for packet in arrived], [0] * len(arrived))
        self.assertEqual(list(batched.stamps.items()), list(single.stamps.items()))
        self.assertEqual((batched.again, remembered(batched)), (single.again, remembered(single)))


def remembered(known: DuplicateFilter) -> list[int]:
    return known.queue[known.forgotten :]


class OnDisk(TestCase):
    def test_a_filter_continues_after_being_read_back(self) -> None:
        known, spoken = DuplicateFilter(), speech(2000)
        for packet in spoken:
            known.repeats(packet.spoken_us, packet.pcm)
        known.drop_cache()
        known = msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=DuplicateFilter)
        self.assertEqual(
            [known.repeats(packet.spoken_us, packet.pcm) for packet in spoken[-3:]], [1, 1, 1]
        )
        known.repeats(spoken[-1].spoken_us + 1000 * PACKET_US, b"ab")
        self.assertNotIn(fingerprint(spoken[500].spoken_us, spoken[500].pcm), known.stamps)

    def test_the_fingerprint_is_the_same_in_every_process(self) -> None:
        self.assertEqual(fingerprint(START_US, b"\x01\x00" * 320), 17_509_497_289_941_838_694)
