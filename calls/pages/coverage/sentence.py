"""The coverage of a range in one sentence, with its parts, and figures as text. PURE.

Today: 412 calls, 410 complete, 1 with 5.0 s missing (ACS lost its connection),
1 not recorded (ACS could not open the media socket, 8581)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from calls.times import length_text
from calls.wording import missing_text

MOST_REASONS = 2


class Counts(Protocol):
    """Calls by verdict."""

    complete: int
    partial: int
    missing: int
    unexpected: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Missing time of the calls with one verdict and one reason."""

    verdict: str
    reason: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the sentence; `show`: the filter of the rows that it is about."""

    text: str
    show: str
    because: str = ""
    is_fault: bool = False

    @property
    def query(self) -> str:
        return f"show={self.show}" if self.show else ""


def sentence(counts: Counts, faults: Sequence[Fault]) -> list[Part]:
    """Returns the parts of the sentence, without the name of the period."""
    calls = sum(
        (counts.complete, counts.partial, counts.missing, counts.unexpected, counts.unknown)
    )
    if not calls:
        return [Part("no calls", "")]
    parts = [Part(f"{calls:,} call{'s' if calls != 1 else ''}", "")]
    if counts.complete:
        parts.append(Part(f"{counts.complete:,} complete", "complete"))
    if counts.partial:
        seconds = sum(fault.seconds for fault in faults if fault.verdict == "partial")
        text = f"{counts.partial:,} with {length_text(seconds)} missing"
        parts.append(Part(text, "partial", _reasons("partial", faults), is_fault=True))
    if counts.missing:
        text = f"{counts.missing:,} not recorded"
        parts.append(Part(text, "missing", _reasons("missing", faults), is_fault=True))
    if counts.unexpected:
        parts.append(Part(f"{counts.unexpected:,} recorded but not expected", "unexpected"))
    if counts.unknown:
        parts.append(Part(f"{counts.unknown:,} not judged yet", "unknown"))
    return parts


def percent_text(ratio: float | None) -> str:
    """Returns a ratio in percent, rounded down: one missing second in a year is never 100 %."""
    if ratio is None:
        return "-"
    if ratio >= 1:
        return "100 %"
    hundredths = math.floor(round(ratio * 10_000, 6))
    return f"{min(hundredths, 9_999) / 100:.2f} %"


def _reasons(verdict: str, faults: Iterable[Fault]) -> str:
    """Returns the reasons, the one with the most missing time first."""
    own = [fault for fault in faults if fault.verdict == verdict]
    own.sort(key=lambda fault: (-fault.seconds, -fault.calls, fault.reason))
    texts = [missing_text(fault.reason).replace(" (8581)", ", 8581") for fault in own]
    if len(texts) > MOST_REASONS:
        others = len(texts) - MOST_REASONS
        texts = [*texts[:MOST_REASONS], f"{others} other reason{'s' if others > 1 else ''}"]
    return "; ".join(texts)
