"""What came lately on a track: an exact duplicate is recognised, in bounded memory, by any
process.
"""

from __future__ import annotations

from unittest import TestCase

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.timeline.duplicates import MAX_REMEMBERED, MEMORY_US, DuplicateFilter, fingerprint
from tests.streams.packets import PACKET_US, START_US, speech

packets = st.lists(
    st.tuples(st.integers(0, 40).map(lambda second: second * 1_000_000), st.binary(max_size=2))
)


class Repeats(TestCase):
    def test_it_is_known_how_often_a_packet_has_come_before(self) -> None:
        recent = DuplicateFilter()
        self.assertEqual([recent.repeats(START_US, b"ab") for _ in range(4)], [0, 1, 2, 3])

    def test_other_bytes_or_another_time_are_another_packet(self) -> None:
        recent = DuplicateFilter()
        came = [
            (START_US, b"ab"),
            (START_US, b"ba"),
            (START_US, b"ab\0"),
            (START_US + 1, b"ab"),
            (START_US + 2**32, b"ab"),
        ]
        self.assertEqual([recent.repeats(*packet) for packet in came], [0] * 5)

    def test_what_is_older_than_the_memory_is_forgotten_and_its_count_with_it(self) -> None:
        recent = DuplicateFilter()
        self.assertEqual([recent.repeats(START_US, b"ab"), recent.repeats(START_US, b"ab")], [0, 1])
        recent.repeats(START_US + MEMORY_US, b"cd")
        self.assertEqual(recent.repeats(START_US, b"ab"), 2)
        recent.repeats(START_US + MEMORY_US + 1, b"ef")
        self.assertEqual(recent.repeats(START_US, b"ab"), 0)

    def test_two_are_forgotten_for_each_that_comes(self) -> None:
        recent = DuplicateFilter()
        for number in range(5):
            recent.repeats(START_US + number, b"ab")
        recent.repeats(START_US + 2 * MEMORY_US, b"ab")
        self.assertEqual(len(recent.stamps), 4)

    def test_the_memory_is_bounded_by_number(self) -> None:
        recent = DuplicateFilter()
        for number in range(3 * MAX_REMEMBERED):
            recent.repeats(START_US, number.to_bytes(2, "little"))
        self.assertEqual(len(recent.stamps), MAX_REMEMBERED)
        self.assertLessEqual(len(recent.queue), 2 * MAX_REMEMBERED + 2)


class ManyAtOnce(TestCase):
    def test_a_packet_that_has_come_or_comes_twice_is_not_new(self) -> None:
        recent = DuplicateFilter()
        recent.add([1, 2], [START_US, START_US])
        self.assertTrue(recent.are_new([3, 4]))
        self.assertFalse(recent.are_new([3, 2]))
        self.assertFalse(recent.are_new([3, 3]))

    def test_more_than_there_is_room_for_are_not_taken_at_once(self) -> None:
        self.assertTrue(DuplicateFilter().are_new(range(MAX_REMEMBERED)))
        self.assertFalse(DuplicateFilter().are_new(range(MAX_REMEMBERED + 1)))

    @given(packets, packets)
    def test_packets_are_remembered_at_once_as_they_are_one_by_one(
        self, before: list[tuple[int, bytes]], came: list[tuple[int, bytes]]
    ) -> None:
        single, at_once = DuplicateFilter(), DuplicateFilter()
        for packet in before:
            single.repeats(*packet)
            at_once.repeats(*packet)
        prints = [fingerprint(*packet) for packet in came]
        if not at_once.are_new(prints):
            return
        at_once.add(prints, [timestamp_us for timestamp_us, _ in came])
        self.assertEqual([single.repeats(*packet) for packet in came], [0] * len(came))
        self.assertEqual(list(at_once.stamps.items()), list(single.stamps.items()))
        self.assertEqual((at_once.again, remembered(at_once)), (single.again, remembered(single)))


def remembered(recent: DuplicateFilter) -> list[int]:
    return recent.queue[recent.forgotten :]


class OnDisk(TestCase):
    def test_what_is_read_back_goes_on_as_if_nothing_had_been(self) -> None:
        recent, spoken = DuplicateFilter(), speech(2000)
        for packet in spoken:
            recent.repeats(packet.spoken_us, packet.pcm)
        recent.drop_cache()
        recent = msgspec.msgpack.decode(msgspec.msgpack.encode(recent), type=DuplicateFilter)
        self.assertEqual(
            [recent.repeats(packet.spoken_us, packet.pcm) for packet in spoken[-3:]], [1, 1, 1]
        )
        recent.repeats(spoken[-1].spoken_us + 1000 * PACKET_US, b"ab")
        self.assertNotIn(fingerprint(spoken[500].spoken_us, spoken[500].pcm), recent.stamps)

    def test_every_process_gives_a_packet_the_same_64_bits(self) -> None:
        self.assertEqual(fingerprint(START_US, b"\x01\x00" * 320), 17_509_497_289_941_838_694)
