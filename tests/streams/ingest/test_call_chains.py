"""Which call a new socket belongs to, by what this process and the database know."""

from __future__ import annotations

from unittest import TestCase, mock
from uuid import UUID

from calls.identity import CallLink
from streams.ingest import call_chains as module
from streams.ingest.call_chains import NO_CALL, UNANSWERED, CallChains, Decision, FoundCall

FIRST = UUID(int=1)
GRACE, KEPT = 10.0, 100.0


def link(number: int) -> CallLink:
    return CallLink(FIRST, number)


class CallChainsCase(TestCase):
    def setUp(self) -> None:
        self.chains, self.seconds, self.streams = CallChains(GRACE, KEPT), 1000.0, 0

    def now_us(self) -> int:
        return round(self.seconds * 1_000_000)

    def decide(self, found: FoundCall = NO_CALL, first_id: UUID = FIRST) -> Decision:
        return self.chains.decide(first_id, found)

    def open(self, decision: Decision | None = None) -> str:
        self.streams += 1
        stream_id = f"stream {self.streams}"
        self.chains.open(decision or self.decide(), stream_id, self.now_us)
        return stream_id

    def close(self, stream_id: str) -> None:
        self.chains.close(stream_id, self.now_us())


class OneProcess(CallChainsCase):
    def test_an_unknown_connection_id_begins_its_first_call(self) -> None:
        self.assertEqual(self.decide(), Decision(link(0)))
        self.assertEqual(link(0).id, FIRST)

    def test_a_socket_within_the_grace_time_joins_the_call(self) -> None:
        self.close(self.open())
        self.seconds += GRACE - 0.001
        self.assertTrue(self.chains.is_decided(FIRST))
        self.assertEqual(self.decide(), Decision(link(0)))

    def test_a_socket_after_the_grace_time_begins_a_call_of_its_own(self) -> None:
        self.close(self.open())
        self.seconds += GRACE
        self.assertFalse(self.chains.is_decided(FIRST))
        self.assertEqual(self.decide(), Decision(link(1)))

    def test_a_second_socket_at_the_same_time_joins_the_new_call(self) -> None:
        self.close(self.open())
        self.seconds += GRACE
        decisions = [self.decide(), self.decide()]  # both before either is open
        self.open(decisions[0])
        self.assertEqual([*decisions, self.decide()], [Decision(link(1))] * 3)

    def test_a_call_goes_on_while_any_socket_is_open(self) -> None:
        first, second = self.open(), self.open()
        self.close(second)
        self.seconds += 3600
        self.assertEqual(self.decide(), Decision(link(0)))
        self.close(first)
        self.assertEqual(self.decide(), Decision(link(0)), "its last socket has just closed")

    def test_the_latest_end_of_its_sockets_counts(self) -> None:
        first, second = self.open(), self.open()
        self.close(first)
        self.chains.close(second, self.now_us() - 60_000_000)
        self.seconds += GRACE - 0.001
        self.assertEqual(self.decide(), Decision(link(0)))
        self.seconds += 0.001
        self.assertEqual(self.decide(), Decision(link(1)))

    def test_each_pause_begins_another_call(self) -> None:
        for number in range(4):
            self.assertEqual(self.decide(), Decision(link(number)))
            self.close(self.open())
            self.seconds += GRACE


class SeveralProcesses(CallChainsCase):
    def test_a_call_that_has_ended_everywhere_is_continued(self) -> None:
        self.assertEqual(self.decide(FoundCall(link(2), has_ended=True)), Decision(link(3)))

    def test_a_call_that_goes_on_elsewhere_is_joined(self) -> None:
        self.assertEqual(self.decide(FoundCall(link(2))), Decision(link(2)))
        self.close(self.open(Decision(link(2))))
        self.seconds += GRACE
        self.assertEqual(self.decide(FoundCall(link(2))), Decision(link(2)))
        ended = FoundCall(link(2), has_ended=True)
        self.assertEqual(self.decide(ended), Decision(link(3)))

    def test_a_socket_of_this_process_counts_before_it_is_a_row(self) -> None:
        self.close(self.open())
        self.assertEqual(self.decide(FoundCall(link(0), has_ended=True)), Decision(link(0)))
        self.open(Decision(link(1)))
        self.assertEqual(self.decide(FoundCall(link(0), has_ended=True)), Decision(link(1)))

    def test_another_process_may_have_continued_the_call(self) -> None:
        half_open = self.open()
        self.assertEqual(self.decide(FoundCall(link(1))), Decision(link(1)))
        self.open(Decision(link(1)))
        self.close(half_open)  # of the call before
        self.assertEqual(self.chains.closed_sockets(FIRST), [])
        self.assertEqual(self.decide(), Decision(link(1)))

    def test_closed_sockets_are_known_for_the_question(self) -> None:
        self.assertEqual(self.chains.closed_sockets(FIRST), [])
        first, second = self.open(), self.open()
        self.close(first)
        self.close(second)
        self.assertEqual(self.chains.closed_sockets(FIRST), [first, second])

    def test_of_many_closed_sockets_the_newest_are_known(self) -> None:
        self.open()
        closed = [self.open() for _ in range(module.MAX_SOCKETS + 2)]
        for stream_id in closed:
            self.close(stream_id)
        self.assertEqual(self.chains.closed_sockets(FIRST), closed[2:])


class WithoutDatabase(CallChainsCase):
    def test_the_first_call_is_a_guess(self) -> None:
        self.assertEqual(self.decide(UNANSWERED), Decision(link(0), is_guess=True))

    def test_further_sockets_of_a_guess_are_guesses_until_the_database_answers(self) -> None:
        self.open(self.decide(UNANSWERED))
        self.assertFalse(self.chains.is_decided(FIRST))
        self.assertEqual(self.decide(UNANSWERED), Decision(link(0), is_guess=True))
        self.assertEqual(self.decide(FoundCall(link(1))), Decision(link(1)))

    def test_what_the_process_knows_is_no_guess(self) -> None:
        self.close(self.open())
        self.assertEqual(self.decide(UNANSWERED), Decision(link(0)))
        self.seconds += GRACE
        self.assertEqual(self.decide(UNANSWERED), Decision(link(1)))


class Memory(CallChainsCase):
    def open_and_close(self, number: int) -> None:
        first_id = UUID(int=number)
        self.close(self.open(Decision(CallLink(first_id))))

    def test_calls_are_forgotten_after_a_while_unless_they_are_open(self) -> None:
        self.open_and_close(2)
        self.open()
        self.seconds += KEPT - 1
        self.open_and_close(3)
        self.assertEqual(self.decide(first_id=UUID(int=2)).link.number, 1)
        self.seconds += 2
        self.open_and_close(4)
        self.assertEqual(self.decide(first_id=UUID(int=2)).link.number, 0, "forgotten")
        self.assertEqual(self.decide(first_id=UUID(int=3)).link.number, 0, "within the grace time")
        self.assertTrue(self.chains.is_decided(FIRST))

    def test_no_call_is_forgotten_within_a_long_grace_time(self) -> None:
        self.chains = CallChains(grace_seconds=KEPT, kept_seconds=GRACE)
        self.open_and_close(2)
        self.seconds += KEPT - 1
        self.open_and_close(3)
        self.assertTrue(self.chains.is_decided(UUID(int=2)))

    def test_a_socket_after_a_quiet_hour_forgets_few_calls(self) -> None:
        """One after the other, so that no handshake waits for all of them."""
        for number in range(2, 12):
            self.open_and_close(number)
        self.seconds += 3600
        self.open_and_close(12)
        kept = [n for n in range(2, 12) if self.decide(first_id=UUID(int=n)).link.number == 1]
        self.assertEqual(kept, [*range(2 + module.FORGOTTEN_AT_ONCE, 12)])

    def test_a_call_that_goes_on_again_is_not_among_those_to_be_forgotten(self) -> None:
        self.close(self.open())
        self.open()
        with mock.patch.object(module, "MAX_KEPT", 3):
            for number in range(2, 12):
                self.open_and_close(number)
        self.seconds += GRACE
        self.assertTrue(self.chains.is_decided(FIRST))

    def test_memory_is_bounded(self) -> None:
        with mock.patch.object(module, "MAX_KEPT", 3):
            for number in range(2, 12):
                self.open_and_close(number)
            self.seconds += GRACE
            kept = [n for n in range(2, 12) if self.decide(first_id=UUID(int=n)).link.number == 1]
        self.assertEqual(kept, [8, 9, 10, 11])
