"""The thread that removes deleted audio: one at a time, in short sweeps, until nothing is left."""

from __future__ import annotations

import threading
from unittest import TestCase, mock

from calls.storage import deletion, sweeper
from calls.storage.sweeper import EVERY_SECONDS, Sweeper


class SweeperTests(TestCase):
    """Sweeps are faked; each says that it has removed one object."""

    def setUp(self) -> None:
        self.now = 0.0
        self.sweep = self.enterContext(mock.patch.object(deletion, "sweep", return_value=1))
        self.is_left = self.enterContext(mock.patch.object(deletion, "is_left", return_value=False))
        self.enterContext(mock.patch.object(sweeper, "PAUSE_SECONDS", 0.0))
        self.addCleanup(self.sweep.configure_mock, return_value=0)  # ends the thread at a failure
        self.sweeper = Sweeper(lambda: self.now)

    def test_sweeps_follow_one_another_while_objects_are_left(self) -> None:
        self.is_left.side_effect = [True, True, False]
        self.sweeper.start_if_due()
        self.sweeper.wait()
        self.assertEqual(self.sweep.call_count, 3)

    def test_each_is_short(self) -> None:
        self.sweeper.start_if_due()
        self.sweeper.wait()
        self.assertEqual(self.sweep.call_args.args[0], deletion.SWEEP_SECONDS)

    def test_it_leaves_the_objects_to_a_process_that_sweeps_already(self) -> None:
        self.sweep.return_value, self.is_left.return_value = 0, True
        self.sweeper.start_if_due()
        self.sweeper.wait()
        self.assertEqual(self.sweep.call_count, 1)

    def test_a_sweep_that_takes_longer_gets_no_second_thread(self) -> None:
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        self.sweep.side_effect = lambda *_: go_on.wait(10) and 0
        self.sweeper.start_if_due()
        thread = self.sweeper._thread
        self.now += EVERY_SECONDS
        self.sweeper.start_if_due()
        self.assertIs(self.sweeper._thread, thread)
        go_on.set()
        self.sweeper.wait()
        self.sweeper.start_if_due()
        self.assertIsNot(self.sweeper._thread, thread)
        self.sweeper.wait()

    def test_a_stop_ends_its_pause(self) -> None:
        has_swept = threading.Event()

        def is_left() -> bool:
            has_swept.set()
            return True

        self.is_left.side_effect = is_left
        with mock.patch.object(sweeper, "PAUSE_SECONDS", 60.0):
            self.sweeper.start_if_due()
            self.assertTrue(has_swept.wait(10))
            self.sweeper.stop()
            assert self.sweeper._thread, "it was started"
            self.sweeper._thread.join(10)
        self.assertFalse(self.sweeper._thread.is_alive())
        self.assertEqual(self.sweep.call_count, 1)
