"""Threads that users share fairly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from unittest import TestCase

from calls.http.fair_threads import FairThreads

SECONDS = 10


class FairThreadsTests(TestCase):
    def setUp(self) -> None:
        self.threads = FairThreads(4, each=2, name="fair")
        self.may_end = threading.Event()
        self.addCleanup(self.may_end.set)
        self.began: list[str] = []
        self.lock = threading.Lock()

    def work(self, name: str, *, waits: bool = True) -> Callable[[], str]:
        def run() -> str:
            with self.lock:
                self.began.append(name)
            if waits:
                assert self.may_end.wait(SECONDS)
            return name

        return run

    def test_one_user_leaves_threads_to_others(self) -> None:
        greedy = [self.threads.submit("a", self.work(f"a{number}")) for number in range(8)]
        other = self.threads.submit("b", self.work("b", waits=False))
        self.assertEqual(other.result(SECONDS), "b")
        self.assertEqual(self.began[:2], ["a0", "a1"])
        self.assertNotIn("a2", self.began)
        self.may_end.set()
        self.assertEqual([one.result(SECONDS) for one in greedy], [f"a{n}" for n in range(8)])

    def test_users_take_turns(self) -> None:
        blockers = [self.threads.submit(name, self.work("x")) for name in "vvww"]
        waiting = [
            self.threads.submit(name, self.work(f"{name}{number}", waits=False))
            for name in "ab"
            for number in range(3)
        ]
        with self.lock:
            self.began.clear()
        self.may_end.set()
        for one in (*blockers, *waiting):
            one.result(SECONDS)
        order = [name for name in self.began if name != "x"]
        self.assertEqual(sorted(order[:2]), ["a0", "b0"])

    def test_errors_and_cancelled_work(self) -> None:
        blockers = [self.threads.submit("a", self.work("x")) for _ in range(2)]
        never = self.threads.submit("a", self.work("never"))
        fails = self.threads.submit("a", lambda: 1 // 0)
        self.assertTrue(never.cancel())
        self.may_end.set()
        with self.assertRaises(ZeroDivisionError):
            fails.result(SECONDS)
        with self.assertRaises(CancelledError):
            never.result(SECONDS)
        for one in blockers:
            one.result(SECONDS)
        self.assertNotIn("never", self.began)
        for owner in ("a", None, 0):
            self.assertEqual(self.threads.submit(owner, lambda: 7).result(SECONDS), 7)
        self.assertEqual(len(self.threads._running), 0, "no owner is remembered")
