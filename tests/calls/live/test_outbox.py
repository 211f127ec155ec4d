"""The outbox of one browser: order, bounds, replacement."""

from __future__ import annotations

from django.test import SimpleTestCase

from calls.live.messages import BrowserMessage
from calls.live.outbox import MAX_CALL_MESSAGES, MAX_LEVEL_PROCESSES, Outbox


def messages(count: int) -> list[BrowserMessage]:
    return [{"type": "call.updated", "call": {"id": str(number)}} for number in range(count)]


class TheOutbox(SimpleTestCase):
    def setUp(self) -> None:
        self.outbox = Outbox()
        self.outbox.request_snapshot()
        self.outbox.take()

    def test_before_the_first_snapshot_nothing_that_it_has_is_taken(self) -> None:
        outbox = Outbox()
        outbox.put(messages(MAX_CALL_MESSAGES + 1))
        outbox.put_levels("one", {"a": [-30.0, -20.0]})
        outbox.put_minutes({"a": "00"})
        self.assertEqual(outbox.take(), (False, [], {}))
        self.assertEqual(outbox.take_totals_and_minutes(), [])
        outbox.request_snapshot()
        self.assertEqual(outbox.take(), (True, [], {}))
        minutes = {"type": "minutes", "minutes": {"a": "00"}}
        self.assertEqual(outbox.take_totals_and_minutes(), [minutes])

    def test_messages_are_taken_once_and_in_order(self) -> None:
        self.outbox.put(messages(3))
        self.assertEqual(self.outbox.take(), (False, messages(3), {}))
        self.assertEqual(self.outbox.take(), (False, [], {}))

    def test_a_full_outbox_keeps_its_messages(self) -> None:
        self.outbox.put(messages(MAX_CALL_MESSAGES))
        self.assertEqual(self.outbox.take(), (False, messages(MAX_CALL_MESSAGES), {}))

    def test_one_message_too_many_becomes_a_snapshot(self) -> None:
        self.outbox.put(messages(MAX_CALL_MESSAGES + 1))
        self.outbox.put(messages(1))
        self.assertEqual(self.outbox.take(), (True, [], {}))

    def test_messages_after_a_snapshot_was_taken_follow_it(self) -> None:
        self.outbox.request_snapshot()
        self.outbox.take()
        self.outbox.put(messages(1))
        self.assertEqual(self.outbox.take(), (False, messages(1), {}))

    def test_only_the_newest_levels_of_a_process_wait(self) -> None:
        self.outbox.put_levels("one", {"a": [-30.0, -20.0], "gone": [-1.0, -1.0]})
        self.outbox.put_levels("one", {"a": [-40.0, -35.0]})
        self.outbox.put_levels("two", {"b": [-50.0, -45.0]})
        self.assertEqual(
            self.outbox.take(), (False, [], {"a": [-40.0, -35.0], "b": [-50.0, -45.0]})
        )

    def test_only_the_newest_totals_wait_and_minutes_are_collected(self) -> None:
        self.outbox.put_totals({"type": "totals", "processes": 1})
        self.outbox.put_totals({"type": "totals", "processes": 2})
        self.outbox.put_minutes({"a": "00"})
        self.outbox.put_minutes({"b": "99"})
        minutes = {"type": "minutes", "minutes": {"a": "00", "b": "99"}}
        self.assertEqual(
            self.outbox.take_totals_and_minutes(), [{"type": "totals", "processes": 2}, minutes]
        )
        self.assertEqual(self.outbox.take_totals_and_minutes(), [])

    def test_only_the_newest_state_of_the_recorders_waits(self) -> None:
        for refused in (1, 2):
            self.outbox.put_recorders({"type": "recorders", "refused": refused})
        newest = [{"type": "recorders", "refused": 2}]
        self.assertEqual(self.outbox.take_totals_and_minutes(), newest)
        self.assertEqual(self.outbox.take_totals_and_minutes(), [])

    def test_empty_levels_do_not_replace_waiting_ones(self) -> None:
        self.outbox.put_levels("one", {"a": [-30.0, -20.0]})
        self.outbox.put_levels("one", {})
        self.assertEqual(self.outbox.take(), (False, [], {"a": [-30.0, -20.0]}))

    def test_the_louder_level_wins_if_two_processes_have_the_participant(self) -> None:
        self.outbox.put_levels("two", {"a": [-30.0, -20.0]})
        self.outbox.put_levels("one", {"a": [-96.0, -96.0]})
        self.assertEqual(self.outbox.take(), (False, [], {"a": [-30.0, -20.0]}))

    def test_the_number_of_processes_with_waiting_levels_is_bounded(self) -> None:
        for number in range(MAX_LEVEL_PROCESSES * 3):
            self.outbox.put_levels(f"process-{number}", {f"participant-{number}": [-30.0, -20.0]})
        _snapshot_due, _messages, levels = self.outbox.take()
        self.assertEqual(len(levels), MAX_LEVEL_PROCESSES)
        self.assertIn(f"participant-{MAX_LEVEL_PROCESSES * 3 - 1}", levels)
