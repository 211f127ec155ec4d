"""Segments keep the timestamps of their packets where their places do not show the order."""

from __future__ import annotations

from struct import pack, unpack
from unittest import TestCase

from streams.journal.records import Audio, Record, Voice
from streams.sealing.digest import SealedSegment, StreamState
from streams.sealing.overlaps.stamps import MARGIN_US, Stamps, is_untimed, part_of, stamp_at
from streams.timeline.track import Track, Waiting
from tests.streams.sealing.overlaps.tracks import PACKET, RATE, START, new, voice

START_US = START * 1_000_000 // RATE
PACKET_US = 20_000


def record(number: int, stamp: int | None, arrived: int = 0) -> Audio:
    """Returns packet `number`, with timestamp and arrival in packets since the start."""
    stamp_us = None if stamp is None else START_US + stamp * PACKET_US
    return Audio(stamp_us, START_US + arrived * PACKET_US, 0, False, voice(number, number + 1))


def state_of(*epochs: int) -> StreamState:
    state = StreamState(voices={0: "p"})
    state.timeline.epochs = list(epochs) or [0]
    return state


def stamped(
    records: list[Record],
    segments: list[SealedSegment],
    state: StreamState | None = None,
    ends_us: tuple[int | None, ...] = (None,),
) -> list[list[float] | None]:
    """Returns the timestamps of each segment, in packets since the start; negative ones are of
    packets without timestamp.
    """
    found = Stamps(records).added_to(segments, state or state_of(), ends_us)
    return [
        None
        if one.stamps is None
        else [
            (abs(stamp) - START) / PACKET * (1 if stamp > 0 else -1)
            for stamp in unpack(f"<{len(one.stamps) // 8}q", one.stamps)
        ]
        for one in found
    ]


class Added(TestCase):
    def test_packets_where_they_were_stamped_have_none(self) -> None:
        records: list[Record] = [Voice(0, "p"), *(record(one, one) for one in range(3))]
        self.assertEqual(stamped(records, [new(0, voice(0, 3))]), [None])

    def test_late_packets_that_became_contiguous_have_those_of_each_packet(self) -> None:
        records: list[Record] = [record(0, 4), record(1, 4), record(2, 6)]
        segments = [new(0, voice(0, 2)), new(2 * PACKET, voice(2, 3))]
        self.assertEqual(stamped(records, segments), [[4, 4], [6]])

    def test_segments_apart_are_looked_at_by_themselves(self) -> None:
        records: list[Record] = [record(0, 0), record(1, 9)]
        segments = [new(0, voice(0, 1)), new(8 * PACKET, voice(1, 2))]
        self.assertEqual(stamped(records, segments), [None, [9]])

    def test_a_segment_may_begin_within_a_packet(self) -> None:
        records: list[Record] = [record(0, 3), record(1, 5)]
        pcm = voice(0, 2)
        segments = [new(0, pcm[: 3 * PACKET]), new(PACKET * 3 // 2, pcm[3 * PACKET :])]
        self.assertEqual(stamped(records, segments), [[3, 5], [5]])

    def test_undecided_packets_of_earlier_files_keep_theirs(self) -> None:
        state = state_of()
        waiting = [
            Waiting(START_US + 2 * PACKET_US, voice(0, 1), 1),
            Waiting(START_US + 2 * PACKET_US, voice(1, 2), 2, timed=False),
        ]
        state.timeline.tracks["p"] = Track(RATE, waiting=waiting)
        stamps = Stamps([])
        stamps.note_waiting(state)
        (one,) = stamps.added_to([new(0, voice(0, 2))], state, [None])
        self.assertEqual(one.stamps, pack("<2q", START + 2 * PACKET, -START - 2 * PACKET))

    def test_undecided_packets_without_one_keep_that_of_their_arrival(self) -> None:
        """The file before this one has received both; the timeline still holds them."""
        state = state_of()
        timed = ("p", START_US + 2 * PACKET_US, voice(0, 1))
        arrivals = [START_US + 7 * PACKET_US, START_US + 11 * PACKET_US]
        state.timeline.push_all([timed, ("p", None, voice(1, 2))], RATE, START_US, arrivals)
        stamps = Stamps([])
        stamps.note_waiting(state)
        (one,) = stamps.added_to([new(0, voice(0, 2))], state, [None])
        self.assertEqual(one.stamps, pack("<2q", START + 2 * PACKET, -START - 6 * PACKET))

    def test_a_packet_without_one_has_that_of_its_arrival(self) -> None:
        records: list[Record] = [record(0, 0, 7), record(1, None, 11)]
        self.assertEqual(stamped(records, [new(0, voice(0, 2))]), [[0, -4]])

    def test_before_the_first_of_a_track_it_is_its_place(self) -> None:
        """The file before this one has received both; the timeline still holds them."""
        state = state_of()
        packets = [("p", None, voice(0, 1)), ("p", START_US + PACKET_US, voice(1, 2))]
        state.timeline.push_all(packets, RATE, START_US, [START_US, START_US])
        stamps = Stamps([])
        stamps.note_waiting(state)
        (one,) = stamps.added_to([new(0, voice(0, 2))], state, [None])
        self.assertEqual(one.stamps, pack("<2q", -START, START + PACKET))

    def test_silence_that_also_has_one_does_not_move(self) -> None:
        records: list[Record] = [record(0, None, 11), record(0, 1), record(1, 4)]
        self.assertEqual(stamped(records, [new(0, voice(0, 2))]), [[1, 4]])

    def test_before_the_first_with_one_it_is_unknown(self) -> None:
        records: list[Record] = [record(0, None, 11), record(1, 4)]
        self.assertEqual(stamped(records, [new(0, voice(0, 2))]), [[-4, 4]])

    def test_of_two_that_a_packet_may_have_none_is_known(self) -> None:
        records: list[Record] = [record(0, 4), record(1, 5), record(1, 6), record(2, 9)]
        self.assertEqual(stamped(records, [new(0, voice(0, 3))]), [[4, 4, 9]])

    def test_a_wrong_one_is_replaced_by_that_of_the_packet_before(self) -> None:
        records: list[Record] = [record(0, 90), record(1, 3), record(2, 99), record(3, 4)]
        self.assertEqual(stamped(records, [new(0, voice(0, 4))]), [[3, 3, 3, 4]])

    def test_one_far_away_is_none(self) -> None:
        self.assertEqual(stamped([record(0, 200)], [new(0, voice(0, 1))]), [None])

    def test_each_epoch_of_the_clock_may_explain_it(self) -> None:
        state = state_of(0, 1_000 * PACKET_US)
        records: list[Record] = [record(0, -997), record(1, -996)]
        self.assertEqual(stamped(records, [new(0, voice(0, 2))], state), [[3, 4]])

    def test_packets_long_after_all_other_sockets_need_none(self) -> None:
        late, ends_us = (START_US + MARGIN_US) // PACKET_US, (START_US, START_US - 1)
        records: list[Record] = [record(0, 5), record(1, 6, late - START_US // PACKET_US + 1)]
        segments = [new(0, voice(0, 1)), new(2 * PACKET, voice(1, 2))]
        self.assertEqual(stamped(records, segments, ends_us=ends_us), [[5], None])
        self.assertEqual(stamped(records, segments, ends_us=(START_US, None)), [[5], [6]])


class Values(TestCase):
    def setUp(self) -> None:
        self.stamps = pack("<3q", 5, 6, 9)

    def test_a_sample_has_that_of_its_packet(self) -> None:
        found = [stamp_at(self.stamps, sample, PACKET) for sample in (0, PACKET, 3 * PACKET)]
        self.assertEqual(found, [5, 6, 9])

    def test_that_of_a_packet_without_one_is_negative(self) -> None:
        stamps = pack("<2q", -5, 6)
        self.assertEqual(stamp_at(stamps, 0, PACKET), 5)
        self.assertEqual([is_untimed(stamps, at, PACKET) for at in (0, PACKET)], [True, False])

    def test_a_part_has_those_of_its_samples(self) -> None:
        part = part_of(self.stamps, PACKET, 2 * PACKET + 1, PACKET)
        self.assertEqual(part, pack("<2q", 6, 9))
        self.assertIsNone(part_of(None, 0, 1, PACKET))
