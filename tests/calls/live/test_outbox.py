from __future__ import annotations

from django.test import SimpleTestCase

from calls.live.outbox import CALL_MESSAGES, LEVEL_PROCESSES, Outbox
from calls.live.view import Message


def messages(count: int) -> list[Message]:
    return [{"type": "call.updated", "call": {"id": str(number)}} for number in range(count)]


class TheMailbox(SimpleTestCase):
    def setUp(self) -> None:
        self.mailbox = Outbox()

    def test_messages_are_taken_once_and_in_order(self) -> None:
        self.mailbox.put(messages(3))
        self.assertEqual(self.mailbox.take(), (False, messages(3), {}))
        self.assertEqual(self.mailbox.take(), (False, [], {}))

    def test_a_full_mailbox_keeps_its_messages(self) -> None:
        self.mailbox.put(messages(CALL_MESSAGES))
        self.assertEqual(self.mailbox.take(), (False, messages(CALL_MESSAGES), {}))

    def test_one_message_too_many_becomes_a_snapshot(self) -> None:
        self.mailbox.put(messages(CALL_MESSAGES + 1))
        self.mailbox.put(messages(1))
        self.assertEqual(self.mailbox.take(), (True, [], {}))

    def test_messages_after_a_snapshot_was_taken_follow_it(self) -> None:
        self.mailbox.demand_snapshot()
        self.mailbox.take()
        self.mailbox.put(messages(1))
        self.assertEqual(self.mailbox.take(), (False, messages(1), {}))

    def test_only_the_newest_levels_of_a_process_wait(self) -> None:
        self.mailbox.put_levels("one", {"a": [-30.0, -20.0], "gone": [-1.0, -1.0]})
        self.mailbox.put_levels("one", {"a": [-40.0, -35.0]})
        self.mailbox.put_levels("two", {"b": [-50.0, -45.0]})
        self.assertEqual(
            self.mailbox.take(), (False, [], {"a": [-40.0, -35.0], "b": [-50.0, -45.0]})
        )

    def test_only_the_newest_totals_wait_and_minutes_are_gathered(self) -> None:
        self.mailbox.put_totals({"type": "totals", "processes": 1})
        self.mailbox.put_totals({"type": "totals", "processes": 2})
        self.mailbox.put_minutes({"a": "00"})
        self.mailbox.put_minutes({"b": "99"})
        minutes = {"type": "minutes", "minutes": {"a": "00", "b": "99"}}
        self.assertEqual(self.mailbox.take_news(), [{"type": "totals", "processes": 2}, minutes])
        self.assertEqual(self.mailbox.take_news(), [])

    def test_a_process_without_levels_does_not_take_back_those_that_wait(self) -> None:
        self.mailbox.put_levels("one", {"a": [-30.0, -20.0]})
        self.mailbox.put_levels("one", {})
        self.assertEqual(self.mailbox.take(), (False, [], {"a": [-30.0, -20.0]}))

    def test_of_two_processes_with_one_participant_the_louder_is_heard(self) -> None:
        self.mailbox.put_levels("two", {"a": [-30.0, -20.0]})
        self.mailbox.put_levels("one", {"a": [-96.0, -96.0]})
        self.assertEqual(self.mailbox.take(), (False, [], {"a": [-30.0, -20.0]}))

    def test_levels_of_ever_new_processes_do_not_pile_up(self) -> None:
        for number in range(LEVEL_PROCESSES * 3):
            self.mailbox.put_levels(f"process-{number}", {f"participant-{number}": [-30.0, -20.0]})
        _snapshot_due, _messages, levels = self.mailbox.take()
        self.assertEqual(len(levels), LEVEL_PROCESSES)
        self.assertIn(f"participant-{LEVEL_PROCESSES * 3 - 1}", levels)
