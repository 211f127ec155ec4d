"""Totals of many simulated calls, and the table that shows them. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.trial import Outcome

BINS_MS = (1, 5, 10, 20, 40, 60, 61, 100, 500)
"""Upper ends of the histogram's bins; beyond the last one anything."""


@dataclass(slots=True)
class Failure:
    """A seed that breaks a law: its plan, and all violations."""

    seed: int
    laws: tuple[str, ...]
    kinds: tuple[str, ...]
    texts: tuple[str, ...]
    found_after_s: float = 0.0


@dataclass(slots=True)
class Totals:
    """Counts over all calls so far; `add` those of another part."""

    calls: int = 0
    with_rows: int = 0
    packets: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    misplaced: Counter[int] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    worst_ms: float = 0.0
    worst_seed: int = -1
    worst_duration_ms: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        plan, verdict = outcome.plan, outcome.verdict
        self.calls += 1
        self.with_rows += plan.with_rows
        self.packets += outcome.packets
        kinds = {fault.kind for fault in plan.faults}
        self.faults.update(kinds)
        for error in verdict.errors_ms:
            self.misplaced[bin_of(error)] += 1
        self.durations[bin_of(verdict.duration_error_ms)] += 1
        self.worst_duration_ms = max(self.worst_duration_ms, abs(verdict.duration_error_ms))
        worst = max(map(abs, verdict.errors_ms), default=0.0)
        if worst > self.worst_ms:
            self.worst_ms, self.worst_seed = worst, plan.seed
        if verdict.violations:
            laws = tuple(dict.fromkeys(one.law for one in verdict.violations))
            texts = tuple(map(str, verdict.violations))
            self.failures.append(Failure(plan.seed, laws, tuple(sorted(kinds)), texts))

    def add(self, other: Totals) -> None:
        self.calls += other.calls
        self.with_rows += other.with_rows
        self.packets += other.packets
        self.faults += other.faults
        self.misplaced += other.misplaced
        self.durations += other.durations
        if other.worst_ms > self.worst_ms:
            self.worst_ms, self.worst_seed = other.worst_ms, other.worst_seed
        self.worst_duration_ms = max(self.worst_duration_ms, other.worst_duration_ms)
        self.failures += other.failures

    @property
    def hours(self) -> float:
        return self.packets * 0.02 / 3600


def bin_of(error_ms: float) -> int:
    """Returns the number of the histogram's bin."""
    return next((n for n, most in enumerate(BINS_MS) if abs(error_ms) <= most), len(BINS_MS))


def table(totals: Totals, seconds: float) -> str:
    """Returns the table as text."""
    minutes = max(seconds, 0.001) / 60
    lines = [
        f"calls            {totals.calls:>12,}   {totals.calls / minutes:,.0f} a minute",
        f"  with rows      {totals.with_rows:>12,}",
        f"spoken hours     {totals.hours:>12,.1f}   {totals.hours / minutes:,.1f} a minute",
        f"packets judged   {sum(totals.misplaced.values()):>12,}",
        f"worst            {totals.worst_ms:>12,.1f} ms misplaced (seed {totals.worst_seed})",
        f"                 {totals.worst_duration_ms:>12,.1f} ms of duration",
        "calls with a fault of a kind",
        *(f"  {kind:<14} {count:>12,}" for kind, count in sorted(totals.faults.items())),
        f"{'misplacement':<16} {'packets':>12}   {'duration error: calls':>24}",
        *_histogram(totals),
    ]
    if totals.failures:
        lines.append(f"{len(totals.failures)} seeds break a law:")
        lines += failures_by_law(totals.failures)
    else:
        lines.append("all laws hold")
    return "\n".join(lines)


def _histogram(totals: Totals) -> list[str]:
    names = [f"<= {most} ms" for most in BINS_MS] + [f"> {BINS_MS[-1]} ms"]
    return [
        f"  {name:<14} {totals.misplaced[number]:>12,}   {totals.durations[number]:>24,}"
        for number, name in enumerate(names)
    ]


def failures_by_law(failures: Sequence[Failure]) -> list[str]:
    """Returns a line for each law with the number of failures and the first seeds."""
    by_law: dict[str, list[Failure]] = {}
    for failure in failures:
        by_law.setdefault(failure.laws[0], []).append(failure)
    return [
        f"  {law:<14} {len(found):>12,}   seeds {', '.join(str(one.seed) for one in found[:8])}"
        for law, found in sorted(by_law.items())
    ]
