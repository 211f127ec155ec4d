"""The clocks of a recorder process: the host's wall clock, which may step, and steady time.

If the recorder has a clock for each call (`streams.ingest.call_clocks`), that one is used; without
it, the wall clock is the arrival time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

Clock = Callable[[], int]
"""Returns µs."""

CALL_CLOCKS = "streams.ingest.call_clocks"


class ProcessClocks:
    """The clocks of one process; `wall` and `steady` return µs."""

    def __init__(self, wall: Clock, steady: Clock) -> None:
        self._wall = wall
        self._clocks: Any = None
        if find_spec(CALL_CLOCKS):
            module: Any = import_module(CALL_CLOCKS)

            def steady_ns() -> int:
                return steady() * 1000

            host = module.HostClocks(lambda: wall() * 1000, steady_ns, steady_ns)
            self._clocks = module.CallClocks(host)

    def open(self, call_id: str, in_use: set[str]) -> tuple[Clock, int]:
        """Returns the clock of the call for a new socket, and by how much the host's clock has
        stepped since it was set.
        """
        if self._clocks is None:
            return self._wall, 0
        clock = self._clocks.open(call_id, in_use)
        return clock.now_us, self._clocks.stepped_us(clock)

    def step_us(self) -> int:
        """Returns by how much the host's clock has stepped since the last call."""
        return self._clocks.step_us() if self._clocks else 0
