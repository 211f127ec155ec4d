"""Limits handshakes and closes to one per event-loop iteration, so that bursts stall no open
socket.

A handshake and a close cost one or two milliseconds each: a file is created or renamed, lines are
logged. Three hundred at once took half a second in which no packets were read. With the limit, the
event loop serves every open socket between two of them.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Overloaded(Exception):
    """Too many are waiting already, or the wait took too long."""


class LoopLimiter:
    """`await acquire()`: FIFO; at most one waiter proceeds per loop iteration.

    `max_waiting` and `max_seconds` bound the queue and the wait; None means no bound.
    """

    def __init__(self, *, max_waiting: int | None = None, max_seconds: float | None = None) -> None:
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._is_taken = False  # whether a caller has proceeded in the current iteration

    async def acquire(self) -> None:
        """Returns when it is the caller's turn: at once if nobody waits. Raises `Overloaded`."""
        loop = asyncio.get_running_loop()
        if not self._is_taken:
            self._take(loop)
            return
        if self._max_waiting is not None and len(self._waiters) >= self._max_waiting:
            raise Overloaded
        waiter = loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._max_seconds):
                await waiter
        except TimeoutError:
            raise Overloaded from None

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_taken = True
        loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in the next iteration: resumes the caller that has waited longest."""
        self._is_taken = False
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():  # done: cancelled by the timeout or by the server's shutdown
                waiter.set_result(None)
                self._take(loop)
                return
