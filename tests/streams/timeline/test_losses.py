"""In which gap packets are missing that could not be written."""

from __future__ import annotations

from unittest import TestCase

from streams.timeline.losses import Loss, are_copies, explain
from streams.timeline.track import Track
from streams.timeline.waiting import Gap, Timed
from tests.streams.packets import PACKET_US, RATE, START_US, speech

STEP_US = 3_600_000_000


def place(number: int) -> int:
    """Returns the place of a packet."""
    return START_US + number * PACKET_US


def gap(first: int, end: int) -> Gap:
    """Returns the gap from one packet to another one."""
    start = place(first) * RATE // 1_000_000
    return Gap(start, (end - first) * PACKET_US * RATE // 1_000_000, RATE, "not_received")


def loss_of(first: int, end: int, *, after: int | None = None, shift_us: int = 0) -> Loss:
    """Returns the loss of these packets, spoken after the packet before `after`."""
    begin_us = place(first if after is None else after)
    stamps = place(first) - shift_us, place(end - 1) - shift_us
    return Loss("p", end - first, begin_us, stamps=stamps, shift_us=shift_us)


class LossTest(TestCase):
    def setUp(self) -> None:
        self.track = Track(RATE)

    def note(self, loss: Loss, *numbers: int, shift_us: int = 0) -> None:
        """Lets packets arrive after the loss."""
        self.track.shift_us = shift_us
        for number in numbers:
            packet = speech(number + 1)[number]
            self.track.insert(packet.spoken_us, packet.pcm)
            loss.note(self.track, packet.spoken_us - shift_us)

    def assert_in(self, loss: Loss, *gaps: tuple[int, int]) -> None:
        for one in gaps:
            self.assertTrue(loss.explains(gap(*one)), one)

    def assert_not_in(self, loss: Loss, *gaps: tuple[int, int]) -> None:
        for one in gaps:
            self.assertFalse(loss.explains(gap(*one)), one)


class Copies(LossTest):
    def setUp(self) -> None:
        super().setUp()
        for packet in speech(50):
            self.track.remembered.repeats(packet.spoken_us, packet.pcm)
            self.track.insert(packet.spoken_us, packet.pcm)

    def test_a_few_packets_that_the_track_has_received_are_not_missing(self) -> None:
        self.assertTrue(are_copies(3, (place(10), place(12)), self.track))

    def test_packets_with_other_timestamps_are_missing(self) -> None:
        for stamps in (None, (place(10), place(12) + 1), (place(10) + 1, place(12))):
            self.assertFalse(are_copies(3, stamps, self.track))

    def test_many_packets_may_be_speech_after_a_step(self) -> None:
        self.assertFalse(are_copies(5, (place(10), place(14)), self.track))

    def test_of_a_coarse_clock_new_packets_may_have_the_timestamp_of_the_last(self) -> None:
        self.assertFalse(are_copies(3, (place(49), place(49)), self.track))

    def test_a_track_without_audio_has_received_none(self) -> None:
        self.assertFalse(are_copies(1, (place(1), place(1)), Track(RATE)))


class ByArrival(LossTest):
    def test_they_are_missing_between_the_packets_around_them(self) -> None:
        loss = Loss("p", 20, place(100))
        self.note(loss, 120)
        self.assert_in(loss, (100, 120), (50, 101), (110, 130))
        self.assert_not_in(loss, (50, 100), (120, 140), (118, 140))

    def test_the_first_of_a_socket_are_missing_directly_before_its_first_packet(self) -> None:
        loss = Loss("p", 5, START_US, is_first=True)
        self.note(loss, 100)
        self.assert_in(loss, (0, 100), (0, 96), (96, 100))
        self.assert_not_in(loss, (0, 95), (98, 104))

    def test_a_packet_that_is_placed_before_them_does_not_end_them(self) -> None:
        loss = Loss("p", 5, place(10))
        self.note(loss, 9)
        self.assertIsNone(loss.end_us)
        self.assert_in(loss, (9, 14), (14, 20))
        self.assert_not_in(loss, (15, 20))
        self.note(loss, 15, 19)
        self.assertEqual(loss.end_us, place(15))

    def test_of_a_track_without_audio_they_have_no_end(self) -> None:
        loss = Loss("p", 5, 0)
        loss.note(self.track, None)
        self.assertIsNone(loss.end_us)

    def test_they_are_settled_when_later_packets_would_be_late(self) -> None:
        loss = Loss("p", 5, place(10))
        self.note(loss, 15, 16, 140)
        self.assertFalse(loss.is_settled)
        self.note(loss, 141)
        self.assertTrue(loss.is_settled)

    def test_few_of_them_leave_no_gap(self) -> None:
        """The next packet follows the audio before them, 40 ms early; then comes a pause."""
        loss = Loss("p", 2, place(10))
        self.note(loss, 12, 50)
        self.assert_not_in(loss, (11, 50))

    def test_a_next_packet_that_is_held_back_ends_them_when_the_clock_is_known(self) -> None:
        for known in (True, False):
            loss = Loss("p", 20, place(100))
            self.track = Track(RATE)
            self.note(loss, 99)
            stamp_us = place(120 if known else 90) + STEP_US
            self.track.hold([Timed(stamp_us, b"")])
            loss.note(self.track, stamp_us)
            self.assertIsNone(loss.end_us)
            self.track.take_strays()
            self.note(loss, 130, shift_us=-STEP_US)
            self.assertEqual(loss.end_us, place(120 if known else 130))


class ByTimestamp(LossTest):
    def test_they_end_with_their_last_timestamp(self) -> None:
        loss = loss_of(10, 20)
        self.note(loss, 50)
        self.assert_in(loss, (10, 50), (19, 50))
        self.assert_not_in(loss, (20, 50))

    def test_wrong_timestamps_do_not_count(self) -> None:
        loss = Loss("p", 10, place(10), stamps=(place(2), place(3)))
        self.note(loss, 50)
        self.assert_in(loss, (20, 50))

    def test_they_follow_a_packet_that_is_older(self) -> None:
        loss = loss_of(50, 70, after=10)
        self.note(loss, 49)
        self.assert_not_in(loss, (10, 49))
        self.note(loss, 70)
        self.assert_in(loss, (50, 70))
        self.assert_not_in(loss, (10, 49))

    def test_they_follow_an_older_packet_that_arrives_after_the_next(self) -> None:
        loss = loss_of(50, 70, after=10)
        self.note(loss, 70)
        self.assert_in(loss, (10, 49))
        self.note(loss, 49)
        self.assert_not_in(loss, (10, 49))
        self.assert_in(loss, (50, 70))

    def test_they_follow_the_first_of_them_if_it_comes_again(self) -> None:
        loss = loss_of(50, 70, after=10)
        self.note(loss, 50)
        self.assert_not_in(loss, (10, 50))
        self.assert_in(loss, (51, 70))

    def test_they_lie_around_one_of_them_that_comes_again(self) -> None:
        loss = loss_of(50, 70, after=10)
        self.note(loss, 55)
        self.assertIsNone(loss.end_us)
        self.note(loss, 70)
        self.assert_in(loss, (10, 55), (56, 70))

    def test_a_single_one_that_comes_again_is_not_missing(self) -> None:
        loss = loss_of(50, 51, after=10)
        self.note(loss, 50, 60)
        self.assertTrue(loss.is_settled)
        self.assert_not_in(loss, (10, 50), (51, 60), (10, 60))

    def test_in_a_burst_equal_timestamps_do_not_show_the_order(self) -> None:
        loss = Loss("p", 10, place(10), stamps=(place(20), place(20)))
        self.note(loss, 20)
        self.assert_in(loss, (10, 20))

    def test_timestamps_of_another_clock_are_not_compared(self) -> None:
        loss = loss_of(50, 70, after=10, shift_us=STEP_US)
        self.note(loss, 30)
        self.assertEqual(loss.end_us, place(30))

    def test_one_of_many_that_comes_again_late_does_not_end_them(self) -> None:
        loss = loss_of(100, 300)
        self.note(loss, 110, 300)
        self.assert_in(loss, (111, 300))

    def test_the_last_of_few_may_have_a_wrong_timestamp(self) -> None:
        loss = Loss("p", 20, place(100), stamps=(place(100), place(300)))
        self.note(loss, 110)
        self.assertEqual(loss.end_us, place(110))

    def test_a_wrong_timestamp_far_ahead_does_not_show_the_order(self) -> None:
        loss = loss_of(300, 302, after=10)
        self.note(loss, 30)
        self.assertEqual(loss.end_us, place(30))


class Explained(LossTest):
    """Whether losses are the reason of a gap."""

    def test_packets_that_leave_no_gap_are_not_the_reason_of_a_pause(self) -> None:
        for packets, expected in ((1, False), (3, False), (4, True)):
            loss = loss_of(10, 10 + packets)
            with self.subTest(packets=packets):
                self.assertEqual(explain([loss], gap(10, 150)), expected)

    def test_they_are_with_lost_packets_beside_them(self) -> None:
        for end, expected in ((15, True), (16, False)):
            with self.subTest(end=end):
                self.assertEqual(explain([loss_of(10, 12)], gap(10, end)), expected)

    def test_several_losses_count_together(self) -> None:
        losses = [loss_of(10, 12), loss_of(100, 102), loss_of(300, 310)]
        self.assertTrue(explain(losses, gap(10, 150)))
        self.assertFalse(explain(losses[1:], gap(10, 150)))

    def test_without_a_loss_there_is_another_reason(self) -> None:
        self.assertFalse(explain([], gap(10, 14)))
