"""Threads that owners share fairly: no user can take all of them, and nobody waits for the queue of
another.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

NOBODY = object()
"""No owner: None may be one."""


class FairThreads:
    """Runs the work of each owner in its order, at most `each` at a time, and takes the owners in
    turn.
    """

    def __init__(self, threads: int, *, each: int, name: str) -> None:
        self._free, self._each = threads, each
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = Lock()
        # Work that waits, by owner; the owner whose turn it is comes first.
        self._waiting: dict[Hashable, deque[tuple[Future[Any], Callable[[], Any]]]] = {}
        self._running: Counter[Hashable] = Counter()

    def submit(self, owner: Hashable, work: Callable[[], T]) -> Future[T]:
        """Returns the future result of `work`. If it is cancelled in time, `work` never runs."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.setdefault(owner, deque()).append((future, work))
            self._start()
        return future

    def _start(self) -> None:
        """Starts what may run. The caller holds the lock."""
        while self._free:
            ready = (owner for owner in self._waiting if self._running[owner] < self._each)
            if (owner := next(ready, NOBODY)) is NOBODY:
                return
            queue = self._waiting.pop(owner)
            future, work = queue.popleft()
            if queue:
                self._waiting[owner] = queue  # behind the others
            if future.set_running_or_notify_cancel():
                self._free -= 1
                self._running[owner] += 1
                self._pool.submit(self._run, owner, future, work)

    def _run(self, owner: Hashable, future: Future[T], work: Callable[[], T]) -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - passed on by the future, as a pool does
            self._end(owner)
            future.set_exception(error)
        else:
            self._end(owner)
            future.set_result(result)

    def _end(self, owner: Hashable) -> None:
        with self._lock:
            self._free += 1
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]
            self._start()
