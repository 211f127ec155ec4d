"""Absolute deadlines on the monotonic clock, so that the lateness of packets does not add up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Pace:
    """Maps the time of a call, in microseconds, to the clock of the event loop, in seconds.

    `origin` is time 0. `speed` 1 is real time, 2 twice as fast, 0 as fast as possible.
    """

    origin: float
    speed: float

    async def until(self, at_us: int) -> float:
        """Sleeps until `at_us` and returns the lateness in seconds, 0 or more. Yields to other
        tasks even when it is late.
        """
        if not self.speed:
            await asyncio.sleep(0)
            return 0.0
        deadline = self.origin + at_us / 1e6 / self.speed
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, deadline - loop.time()))
        return max(0.0, loop.time() - deadline)

    def position_us(self, now: float) -> int:
        """Returns the time of the call at `now`; 0 if it has no pace."""
        return int((now - self.origin) * 1e6 * self.speed)

    def starting(self, planned_us: int, now: float, grid_us: int) -> Pace:
        """Returns the pace of a call that was planned for `planned_us` and can begin `now`: as
        planned, or a multiple of `grid_us` later.

        Calls keep their offsets within the 20 ms although handshakes take time.
        """
        if not self.speed:
            return Pace(now, self.speed)
        planned = self.origin + planned_us / 1e6 / self.speed
        grid = grid_us / 1e6 / self.speed
        return Pace(planned + max(0, ceil((now - planned) / grid)) * grid, self.speed)
