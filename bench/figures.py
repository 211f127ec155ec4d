"""The results of one step, and its faults. PURE.

A step holds if nothing is lost, nothing is late, and sealing keeps up. If the generator itself was
late, the step is not valid and says nothing about the server.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

LATE_GENERATOR_MS = 10.0
JOURNAL_MS = 50.0
LEVELS_MS = 250.0
LEVELS_AFTER_END_SECONDS = 1.5
SEAL_LAG_SECONDS = 10.0
"""A file must be sealed before the next file of its call is finished."""
BACKLOG_GROWTH = 1.5


@dataclass(slots=True)
class Figures:
    """One step of one row. Values that a row does not have are None."""

    row: str
    calls: int
    seconds: float
    packets_sent: int = 0
    packets_measured: int = 0
    """The packets sent within the window."""
    packets_stored: int | None = None
    packets_too_many: int = 0
    gaps: int | None = None
    broken: dict[str, str] = field(default_factory=dict)
    """Calls whose socket broke or was refused, with the reason."""
    cpu_us: float = 0.0
    """CPU per packet of all server processes."""
    database_cpu_us: float | None = None
    server_busy: float = 0.0
    """Utilisation of the server's core."""
    processes: int = 0
    memory_kb_per_call: float = 0.0
    lag_p50_ms: float | None = None
    lag_p99_ms: float | None = None
    hidden_ms: float | None = None
    """Mean delay between `arrived_us` of the recorder and the file."""
    unwritten_p99_ms: float | None = None
    """Age of the oldest packet missing in its file, observed from outside."""
    levels_p50_ms: float | None = None
    levels_p95_ms: float | None = None
    levels_after_end_seconds: float | None = None
    seal_lag_seconds: float | None = None
    """Longest time a finished file waited."""
    backlog: tuple[float, float] | None = None
    """Mean number of waiting files in the first and in the last third."""
    drained_seconds: float | None = None
    """Time from the last packet until everything was sealed."""
    late_p99_ms: float = 0.0
    generator_busy: float = 0.0

    @property
    def is_valid(self) -> bool:
        """Whether the generator was on time."""
        return self.late_p99_ms <= LATE_GENERATOR_MS

    def faults(self) -> list[str]:
        """Returns the reasons why the step does not hold; empty if it holds."""
        return [*self._lost(), *self._late(), *self._not_kept_up()]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "valid": self.is_valid, "faults": self.faults()}

    def _lost(self) -> list[str]:
        found = []
        if self.broken:
            found.append(f"{len(self.broken)} calls: {next(iter(self.broken.values()))}")
        if self.packets_stored is not None and self.packets_stored != self.packets_sent:
            found.append(f"{self.packets_sent - self.packets_stored} packets lost")
        if self.packets_too_many:
            found.append(f"{self.packets_too_many} packets too many")
        if self.gaps:
            found.append(f"{self.gaps} gaps")
        return found

    def _late(self) -> list[str]:
        found = []
        if _exceeds(self.lag_p99_ms, JOURNAL_MS):
            found.append(f"journal p99 {self.lag_p99_ms:.0f} ms")
        if _exceeds(self.unwritten_p99_ms, JOURNAL_MS):
            found.append(f"unwritten p99 {self.unwritten_p99_ms:.0f} ms")
        if _exceeds(self.levels_p95_ms, LEVELS_MS):
            found.append(f"levels p95 {self.levels_p95_ms:.0f} ms")
        if _exceeds(self.levels_after_end_seconds, LEVELS_AFTER_END_SECONDS):
            found.append(f"levels {self.levels_after_end_seconds:.1f} s after the end")
        return found

    def _not_kept_up(self) -> list[str]:
        found = []
        if _exceeds(self.seal_lag_seconds, SEAL_LAG_SECONDS):
            found.append(f"sealing {self.seal_lag_seconds:.0f} s behind")
        if (
            self.backlog
            and self.backlog[1] > self.backlog[0] * BACKLOG_GROWTH + self.calls / 10 + 2
        ):
            found.append(f"backlog grows from {self.backlog[0]:.0f} to {self.backlog[1]:.0f}")
        return found


def _exceeds(value: float | None, limit: float) -> bool:
    return value is not None and value > limit
