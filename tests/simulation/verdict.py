"""The verdict on one simulated call. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken law, with the first place where it is broken."""

    law: str
    text: str

    def __str__(self) -> str:
        return f"{self.law}: {self.text}"


@dataclass(slots=True)
class Heard:
    """A stored packet, or a part of one: where its first sample should be and how far it is off."""

    number: int
    place_us: float
    error_us: float
    end_us: float


@dataclass(slots=True)
class Verdict:
    """All violations, and figures for the table."""

    violations: list[Violation] = field(default_factory=list)
    errors_ms: list[float] = field(default_factory=list)
    duration_error_ms: float = 0.0

    def note(self, law: str, text: str) -> None:
        self.violations.append(Violation(law, text))
