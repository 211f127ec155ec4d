"""Listeners reported by several processes, merged for one dashboard: messages and expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import TestCase

from calls.live.listeners import LiveListeners
from calls.live.messages import HELD_FOR, BrowserMessage

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)


def listening(**calls: int) -> list[BrowserMessage]:
    return [{"type": "listening", "calls": calls}]


class Listeners(TestCase):
    def setUp(self) -> None:
        self.listeners = LiveListeners()

    def test_are_sent_when_their_number_changes_and_not_when_it_is_repeated(self) -> None:
        self.assertEqual(self.listeners.update("one", {"a": 1}, NOW), listening(a=1))
        self.assertEqual(self.listeners.update("one", {"a": 1}, SOON), [])
        self.assertEqual(self.listeners.update("one", {"a": 2}, SOON), listening(a=2))
        self.assertEqual(self.listeners.update("one", {}, SOON), listening())

    def test_of_several_processes_are_sent_together(self) -> None:
        self.listeners.update("one", {"a": 1}, NOW)
        self.assertEqual(self.listeners.update("two", {"b": 2}, NOW), listening(a=1, b=2))

    def test_of_a_call_held_by_two_processes_are_counted_once(self) -> None:
        self.listeners.update("one", {"a": 2}, NOW)
        self.assertEqual(self.listeners.update("two", {"a": 2}, NOW), [])
        self.assertEqual(self.listeners.update("one", {}, NOW), [])
        self.assertEqual(self.listeners.update("two", {}, NOW), listening())

    def test_that_one_process_does_not_know_yet_are_counted_by_the_other(self) -> None:
        for first, second in ((3, 2), (2, 3)):
            with self.subTest(first=first):
                listeners = LiveListeners()
                listeners.update("one", {"a": first}, NOW)
                listeners.update("two", {"a": second}, NOW)
                self.assertEqual(listeners.shown, {"a": 3})

    def test_of_a_process_that_has_died_expire(self) -> None:
        self.listeners.update("one", {"a": 1}, NOW)
        self.listeners.update("two", {"b": 1}, SOON)
        self.assertEqual(self.listeners.expire(NOW + HELD_FOR), [])
        self.assertEqual(self.listeners.expire(SOON + HELD_FOR), listening(b=1))
        self.assertEqual(self.listeners.expire(SOON + 2 * HELD_FOR), listening())
        self.assertEqual(self.listeners.expire(SOON + 3 * HELD_FOR), [])
