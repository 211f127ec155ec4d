"""Bars of a range: calls that started per hour or day, by verdict, as places in a drawing. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

HEIGHT = 120
"""Units of the drawing, which are pixels; the width of a bar is one unit."""

LEAST = 4
"""Height of the smallest part: one call among thousands can still be seen."""

VERDICTS = ("missing", "partial", "unknown", "unexpected", "complete")
"""From the top of a bar to its base: what is wrong is on top, where bars differ."""

MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of a bar, from the top of the drawing."""

    verdict: str
    top: float
    height: float


def pieces_of(counts: dict[str, int], most: int) -> list[Piece]:
    """Returns the rectangles of one bar; `most`: calls of the highest bar, which fills the height.

    Each part has `LEAST`; what is left of the height is shared out by the number of calls.
    """
    shown = {name: counts[name] for name in VERDICTS if counts.get(name)}
    if not shown:
        return []
    total = sum(shown.values())
    full = max(HEIGHT * total / most, LEAST * len(shown))
    left = full - LEAST * len(shown)
    return list(
        _stacked({name: LEAST + left * count / total for name, count in shown.items()}, full)
    )


def labels_of(texts: Sequence[str]) -> list[tuple[str, bool]]:
    """Returns the text below each bar, "" for those that would be too close to each other, and
    whether a phone has room for it.
    """
    step = max(1, -(-len(texts) // MOST_LABELS))
    return [
        (text if index % step == 0 else "", index % (2 * step) == 0)
        for index, text in enumerate(texts)
    ]


def highest(bars: Iterable[dict[str, int]]) -> int:
    """Returns the calls of the highest bar, at least 1."""
    return max((sum(bar.values()) for bar in bars), default=0) or 1


def _stacked(heights: dict[str, float], full: float) -> Iterator[Piece]:
    top = HEIGHT - full
    for verdict, height in heights.items():
        yield Piece(verdict, round(top, 2), round(height, 2))
        top += height
