"""Read coalescing: a pause of 1 ms per iteration of a busy event loop, in which packets collect.

Calls are spread over the 20 ms between their packets, so a loop with two hundred of them is woken
for one socket after the other, each time with cold caches: 24 µs per packet at 250 calls. With a
pause of a millisecond per iteration, a dozen sockets are read in one iteration: 18 µs
(docs/capacity.md). Meanwhile packets wait in the kernel's socket buffers, as always.

A packet reaches its journal a millisecond later on average. With few sockets this does not pay:
each pause is a wake-up, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PAUSE_SECONDS = 0.001
"""Measured at 250 calls: 3 and 8 ms save no more, and cost latency."""

MANY_SOCKETS = 50
"""Number of sockets at which pauses save more than they cost: some three socket reads per
millisecond.
"""


class ReadCoalescing:
    """Call `adjust` with the number of open sockets; takes effect at the next iteration."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._is_enabled = False
        self._loop: asyncio.AbstractEventLoop | None = None  # the loop that is being paused

    def adjust(self, sockets: int) -> None:
        self._is_enabled = sockets >= MANY_SOCKETS
        loop = asyncio.get_running_loop()
        if self._is_enabled and self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._pause)

    def _pause(self) -> None:
        """Pauses once per iteration, after its callbacks. Blocks the loop on purpose."""
        assert self._loop, "adjust sets the loop before the first pause"
        if not self._is_enabled:
            self._loop = None
            return
        self._sleep(PAUSE_SECONDS)
        self._loop.call_soon(self._pause)
