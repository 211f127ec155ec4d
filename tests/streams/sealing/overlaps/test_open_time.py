"""Time in which no socket of a call was open."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase
from uuid import UUID

from streams.sealing.overlaps.open_time import (
    OPEN,
    STEP_US,
    OpenTime,
    ended_after_start,
    reason_between,
)
from streams.timeline.socket_clock import SocketClock

SECOND = 1_000_000


def socket(
    number: int, start: float, end: float | None, *, died: bool = False, position: int | None = None
) -> OpenTime:
    """Returns a socket that was open between two times in seconds."""
    end_us = OPEN if end is None else round(end * SECOND)
    return OpenTime(UUID(int=number), round(start * SECOND), end_us, died, position)


class ReasonBetween(TestCase):
    def reason(self, *sockets: OpenTime) -> str:
        """Returns the reason between audio of the first and of the last socket."""
        return reason_between(sockets[0], sockets[-1], sockets)

    def test_time_without_a_socket_is_not_connected(self) -> None:
        self.assertEqual(self.reason(socket(1, 0, 10), socket(2, 12, 20)), "not_connected")

    def test_time_after_a_process_that_died_is_recorder_stopped(self) -> None:
        dead = socket(1, 0, 10, died=True)
        self.assertEqual(self.reason(dead, socket(2, 12, 20)), "recorder_stopped")
        self.assertEqual(self.reason(socket(1, 0, 9), dead, socket(2, 12, 20)), "recorder_stopped")

    def test_sockets_that_overlap_leave_none(self) -> None:
        for after in (socket(2, 9, 20), socket(2, 10, 20)):
            self.assertEqual(self.reason(socket(1, 0, 10), after), "not_received")

    def test_an_older_socket_that_stays_open_leaves_none(self) -> None:
        self.assertEqual(self.reason(socket(2, 5, 10), socket(1, 0, 20)), "not_received")

    def test_another_socket_between_them_leaves_none(self) -> None:
        first, between, last = socket(1, 0, 10), socket(3, 9, None), socket(2, 12, 20)
        self.assertEqual(self.reason(first, between, last), "not_received")
        self.assertEqual(self.reason(first, last, socket(2, 12, 20)), "not_connected")

    def test_sockets_that_opened_later_are_of_no_account(self) -> None:
        first, last, later = socket(1, 0, 10), socket(2, 12, 20), socket(3, 30, 40)
        self.assertEqual(reason_between(first, last, [later, last, first]), "not_connected")

    def test_a_moment_without_a_socket_is_enough(self) -> None:
        self.assertEqual(self.reason(socket(1, 0, 10), socket(2, 10.001, 20)), "not_connected")

    def test_the_longest_time_without_a_socket_has_the_reason(self) -> None:
        sockets = [socket(1, 0, 10), socket(2, 13, 14, died=True), socket(3, 15, 20)]
        self.assertEqual(self.reason(*sockets), "not_connected")

    def test_a_process_that_died_after_it_took_over_is_the_reason(self) -> None:
        """Nobody spoke, so its journal does not show how long it lived."""
        older, dead = socket(1, 0, 10), socket(2, 5, 6, died=True)
        for heard, expected in ((6, "recorder_stopped"), (6.1, "not_connected")):
            spoken = replace(older, heard_us=round(heard * SECOND))
            with self.subTest(heard=heard):
                self.assertEqual(self.reason(spoken, dead, socket(3, 12, 20)), expected)

    def test_a_process_that_died_beside_a_younger_socket_is_not(self) -> None:
        dead, younger, last = socket(1, 0, 6, died=True), socket(2, 5, 10), socket(3, 12, 20)
        for sockets in ((dead, younger, last), (younger, dead, last)):
            self.assertEqual(self.reason(*sockets), "not_connected")

    def test_the_audio_of_a_clock_behind_is_compared_by_the_clock_of_the_other(self) -> None:
        clock = SocketClock("b", lead_us=3 * SECOND)
        one = replace(socket(2, 8, 12), clock=clock, heard_us=9 * SECOND)
        moved = one.by_clock_of(replace(socket(1, 0, 10), clock=SocketClock("a", lead_us=0)))
        self.assertEqual(moved.heard_us, 12 * SECOND)


class AnotherClock(TestCase):
    def reason(self, ahead: float, first: int | None, second: int | None) -> str:
        """The second socket opens `ahead` seconds before the first one, by its host's clock."""
        before = socket(1, 0, 10, position=first)
        after = socket(2, -ahead, 2 - ahead, position=second)
        return reason_between(before, after, [before, after])

    def test_a_later_socket_of_a_host_with_another_time_has_replaced_the_one_before(self) -> None:
        self.assertEqual(self.reason(STEP_US / SECOND, 1, 2), "not_connected")

    def test_without_contradicting_positions_the_clocks_are_compared(self) -> None:
        step = STEP_US / SECOND
        for case in ((step - 1, 1, 2), (step, 2, 1), (step, None, 2), (step, 1, None)):
            self.assertEqual(self.reason(*case), "not_received")


class ClockBehind(TestCase):
    """The second socket opens a second after the end of the first one, by a clock that is 3 s
    behind; the arrival of audio shows it.
    """

    def reason(self, lead_us: int | None, recorder: str = "b", arrived_us: int = 8 * SECOND) -> str:
        before = replace(socket(1, 0, 10, died=True), clock=SocketClock("a", lead_us=0))
        clock = SocketClock(recorder, lead_us=lead_us, arrived_us=arrived_us)
        after = replace(socket(2, 8, None), clock=clock)
        return reason_between(before, after, [before, after])

    def test_of_another_process_is_known(self) -> None:
        self.assertEqual(self.reason(3 * SECOND), "recorder_stopped")

    def test_by_less_than_the_first_socket_stayed_open_changes_nothing(self) -> None:
        self.assertEqual(self.reason(SECOND), "not_received")

    def test_is_unknown_in_rows_of_older_versions(self) -> None:
        self.assertEqual(self.reason(None), "not_received")

    def test_is_none_of_the_same_process(self) -> None:
        self.assertEqual(self.reason(3 * SECOND, "a"), "not_received")

    def test_by_as_much_as_two_clocks_drift_apart_is_none(self) -> None:
        hours_us = 2 * 3600 * SECOND
        drifted_us = 3 * SECOND + hours_us // 2000
        self.assertEqual(self.reason(drifted_us, arrived_us=hours_us), "not_received")

    def test_of_a_socket_that_has_ended_moves_both_of_its_times(self) -> None:
        one = replace(socket(2, 8, 12), clock=SocketClock("b", lead_us=3 * SECOND))
        before = replace(socket(1, 0, 10), clock=SocketClock("a", lead_us=0))
        moved = one.by_clock_of(before)
        self.assertEqual((moved.start_us, moved.end_us), (11 * SECOND, 15 * SECOND))


class EndedAfterStart(TestCase):
    def test_sockets_that_ended_since_it_was_opened_are_found(self) -> None:
        ours = socket(1, 10, 20)
        others = [
            socket(number, 0, end)
            for number, end in enumerate((9.95, 10, 15, 20, 20.1, None), start=2)
        ]
        found = ended_after_start(ours, [ours, *others])
        self.assertEqual([one.int for one in found], [3, 4, 5, 6])
