"""A turn of the event loop for each of a crowd, so that sockets which open or close together do not
do it all at once.

A handshake and an end cost a millisecond or two each: a file is made or renamed, lines are logged.
Three hundred at once were half a second in which nobody's packets were read. Here one of them goes
on in each turn, and between two turns the event loop looks at every open socket.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Overloaded(Exception):
    """No turn: too many wait already, or it took too long."""


class LoopLimiter:
    """`await mine()`: at most one who waits goes on in each turn of the loop, in the order of
    coming.

    With `most_waiting` and `most_seconds` a crowd has a bound; without, whoever comes gets a turn.
    """

    def __init__(
        self, *, most_waiting: int | None = None, most_seconds: float | None = None
    ) -> None:
        self._most_waiting = most_waiting
        self._most_seconds = most_seconds
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False  # the turn of the loop that is going on

    async def acquire(self) -> None:
        """Returns when it is one's turn: at once where nobody waits. Raises `Overloaded`."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._take(loop)
            return
        if self._most_waiting is not None and len(self._waiting) >= self._most_waiting:
            raise Overloaded
        turn = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._most_seconds):
                await turn
        except TimeoutError:
            raise Overloaded from None

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        self._taken = True
        loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop has turned: whoever has waited longest goes on, and has this turn."""
        self._taken = False
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled: it took too long, or the server ends
                turn.set_result(None)
                self._take(loop)
                return
