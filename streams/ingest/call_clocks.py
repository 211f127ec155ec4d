"""One clock for each call: its time never steps, whatever happens to the clock of the host.

The clock of a host may step (NTP, a resumed virtual machine). The times in the journals of a call
must not: two of them tell how much time has passed, and which came first. So the clock of a call is
set to the host's clock once, when the first socket of the call opens in this process, and then
follows the steady time since the host was started, also while the host was suspended. Sockets that
follow in this process have the same clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

STEP_NS = 500_000_000
"""A smaller difference between two clocks may be noise: the thread was paused between readings."""

READINGS = 3
"""Readings of each difference, of which the one with the shortest pause counts."""

KEPT_SECONDS = 3600.0
"""How long the clock of a call is kept for its next socket."""

MAX_KEPT = 10_000
"""Calls whose clocks are kept after their last socket; about three a second."""


class HostClocks(NamedTuple):
    """The clocks of a host, in ns: the wall clock; a steady clock that is fast to read; and one
    that also counts the time while the host was suspended.
    """

    wall_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    boot_ns: Callable[[], int] = (
        partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic_ns
    )


class CallClock:
    """The clock of one call. `now_us` is read for every packet."""

    def __init__(self, monotonic_ns: Callable[[], int], anchor_ns: int, suspended_ns: int) -> None:
        self.anchor_ns = anchor_ns  # wall clock minus boot clock, at the start
        self.used_ns = 0  # boot clock at the last opening or end of a socket
        offset_ns = anchor_ns + suspended_ns

        # in a closure, reading costs the same as `time.time_ns() // 1000`
        def now_us() -> int:
            return (monotonic_ns() + offset_ns) // 1000

        def set_suspended(suspended_ns: int) -> None:
            nonlocal offset_ns
            offset_ns = anchor_ns + suspended_ns

        self.now_us, self.set_suspended = now_us, set_suspended


class CallClocks:
    """The clocks of the calls of a process. Call `step_us` regularly."""

    def __init__(self, host: HostClocks | None = None, kept_seconds: float = KEPT_SECONDS) -> None:
        self._host = host or HostClocks()
        self._kept_ns = int(kept_seconds * 1_000_000_000)
        self._clocks: dict[str, CallClock] = {}  # by call id, the latest used last
        self._ahead_ns = self._wall_ahead_ns()
        self._suspended_ns = self._boot_ahead_ns()

    def open(self, call_id: str, in_use: Collection[str] = ()) -> CallClock:
        """Returns the call's clock, for a new socket. `in_use`: calls with open sockets."""
        self._forget(in_use)
        clock = self._clocks.get(call_id) or CallClock(
            self._host.monotonic_ns, self._wall_ahead_ns(), self._suspended_ns
        )
        self._use(call_id, clock)
        return clock

    def close(self, call_id: str) -> None:
        """Keeps the call's clock for a while, after the end of a socket."""
        if clock := self._clocks.get(call_id):
            self._use(call_id, clock)

    def step_us(self) -> int:
        """Returns by how much the host's clock has stepped since the last call, mostly 0."""
        suspended_ns = self._boot_ahead_ns()
        if abs(suspended_ns - self._suspended_ns) >= STEP_NS:
            self._suspended_ns = suspended_ns
            for clock in self._clocks.values():
                clock.set_suspended(suspended_ns)
        ahead_ns = self._wall_ahead_ns()
        by_ns = ahead_ns - self._ahead_ns
        if abs(by_ns) < STEP_NS:
            return 0
        self._ahead_ns = ahead_ns
        return by_ns // 1000

    def stepped_us(self, clock: CallClock) -> int:
        """Returns by how much the host's clock has stepped since the clock of the call was set."""
        by_ns = self._ahead_ns - clock.anchor_ns
        return by_ns // 1000 if abs(by_ns) >= STEP_NS else 0

    def _use(self, call_id: str, clock: CallClock) -> None:
        clock.used_ns = self._host.boot_ns()
        self._clocks.pop(call_id, None)
        self._clocks[call_id] = clock

    def _forget(self, in_use: Collection[str]) -> None:
        """Removes clocks that have not been used for long, from the longest unused on."""
        oldest_ns = self._host.boot_ns() - self._kept_ns
        for call_id, clock in list(self._clocks.items()):
            if clock.used_ns > oldest_ns and len(self._clocks) <= MAX_KEPT + len(in_use):
                break
            if call_id not in in_use:
                del self._clocks[call_id]

    def _wall_ahead_ns(self) -> int:
        return _ahead_ns(self._host.wall_ns, self._host.boot_ns)

    def _boot_ahead_ns(self) -> int:
        return _ahead_ns(self._host.boot_ns, self._host.monotonic_ns)


def _ahead_ns(clock: Callable[[], int], other: Callable[[], int]) -> int:
    """Returns `clock` minus `other`. A pause between two readings makes the result too large."""
    return min(-(other() - clock()) for _ in range(READINGS))
