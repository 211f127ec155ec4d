"""Absolute deadlines on the monotonic clock: an error of one packet is not carried into the
next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Pace:
    """Time of a call, in microseconds, on the clock of the event loop, in seconds.

    `origin` is where time 0 lies. `speed` 1 is real time, 2 twice as fast, 0 as fast as it goes.
    """

    origin: float
    speed: float

    async def until(self, at_us: int) -> float:
        """Sleeps until `at_us`; how late that is, in seconds, 0 or more. Lets other tasks run even
        when it is late.
        """
        if not self.speed:
            await asyncio.sleep(0)
            return 0.0
        deadline = self.origin + at_us / 1e6 / self.speed
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, deadline - loop.time()))
        return max(0.0, loop.time() - deadline)

    def starting(self, planned_us: int, now: float, grid_us: int) -> Pace:
        """The pace of a call that was to begin at `planned_us` and can begin `now`, on the grid or
        after it.

        Calls keep their places within the 20 ms although handshakes take their time.
        """
        if not self.speed:
            return Pace(now, self.speed)
        planned = self.origin + planned_us / 1e6 / self.speed
        grid = grid_us / 1e6 / self.speed
        return Pace(planned + max(0, ceil((now - planned) / grid)) * grid, self.speed)
