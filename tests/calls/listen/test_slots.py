"""Places of listeners: bounded in a process, and for each user."""

from __future__ import annotations

from unittest import TestCase

from calls.listen.consumer import ListenerSlots, TooManyListeners


class SlotTests(TestCase):
    def test_one_user_leaves_places_to_others(self) -> None:
        slots = ListenerSlots(limit=3, each=2)
        for user in (1, 1, 2):
            slots.acquire(user)
        for user in (1, 2, 3):
            with self.assertRaises(TooManyListeners):
                slots.acquire(user)
        slots.release(2)
        with self.assertRaises(TooManyListeners):
            slots.acquire(1)
        slots.acquire(3)
