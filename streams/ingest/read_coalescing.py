"""A millisecond between two turns of a busy event loop, in which packets gather.

Calls are spread over the 20 ms between their packets, so a loop with two hundred of them is woken
for one socket after the other, and each time finds cold caches: 24 µs a packet at 250 calls. With a
millisecond's rest after each turn a dozen sockets are read in one turn: 18 µs (docs/capacity.md).
The kernel holds what comes meanwhile, as it always does.

A packet is in its journal a millisecond later on average. Few sockets are not worth that: each rest
is a wake-up, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

REST_SECONDS = 0.001
"""Measured at 250 calls: 3 and 8 ms save no more, and cost latency."""

MANY_SOCKETS = 50
"""From here on a rest saves more than it costs: some three reads of sockets come in a
millisecond.
"""


class ReadCoalescing:
    """`adjust` it to the number of open sockets now and then; it rests, or not, from the next turn
    of the loop on.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._is_wanted = False
        self._loop: asyncio.AbstractEventLoop | None = None  # of the rests that are going on

    def adjust(self, sockets: int) -> None:
        self._is_wanted = sockets >= MANY_SOCKETS
        loop = asyncio.get_running_loop()
        if self._is_wanted and self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._rest)

    def _rest(self) -> None:
        """Called in each turn, after what came in it. Blocks the loop on purpose."""
        assert self._loop, "rests begin with a loop"
        if not self._is_wanted:
            self._loop = None
            return
        self._sleep(REST_SECONDS)
        self._loop.call_soon(self._rest)
