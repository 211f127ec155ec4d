"""Clocks of a host that tests set: the wall clock steps, and the host is suspended."""

from __future__ import annotations

from streams.ingest.call_clocks import HostClocks
from tests.streams.streams import START_US

HOUR = 3600.0


class FakeHost:
    """A host that has been up for 100 s when it is `START_US`."""

    def __init__(self) -> None:
        self._wall_ns, self._monotonic_ns, self._boot_ns = START_US * 1000, 100_000_000_000, 10**11
        self.clocks = HostClocks(
            lambda: self._wall_ns, lambda: self._monotonic_ns, lambda: self._boot_ns
        )

    @property
    def wall_us(self) -> int:
        return self._wall_ns // 1000

    def pass_time(self, seconds: float) -> None:
        self._monotonic_ns += round(seconds * 1e9)
        self.suspend(seconds)

    def suspend(self, seconds: float) -> None:
        """All clocks but the monotonic one go on."""
        self._boot_ns += round(seconds * 1e9)
        self.step(seconds)

    def step(self, seconds: float) -> None:
        self._wall_ns += round(seconds * 1e9)
