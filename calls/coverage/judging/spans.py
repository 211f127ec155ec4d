"""Sets of times as spans: union, intersection, difference. PURE.

A span is `(start, end)` in µs since the epoch, its end exclusive. Results are sorted, disjoint and
without empty spans; arguments need not be. A call may have thousands of gaps, so each function
passes through sorted spans once.
"""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def union(spans: Iterable[Span]) -> list[Span]:
    """Returns the time that is in any of the spans."""
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def intersection(ones: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Returns the time that is in both."""
    left, right, found = union(ones)[::-1], union(others)[::-1], []
    while left and right:
        start, end = max(left[-1][0], right[-1][0]), min(left[-1][1], right[-1][1])
        if start < end:
            found.append((start, end))
        (left if left[-1][1] == end else right).pop()
    return found


def difference(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Returns the time that is in `spans` and not in `taken`."""
    wanted = union(spans)
    if not wanted:
        return []
    first, last = wanted[0][0], wanted[-1][1]
    edges = [first, *(edge for span in union(taken) for edge in span), last]
    free = zip(edges[::2], edges[1::2], strict=True)
    return intersection(wanted, free)


def length(spans: Iterable[Span]) -> int:
    """Returns the time that is in any of the spans, in µs."""
    return sum(end - start for start, end in union(spans))


def overlap(one: Span, other: Span) -> bool:
    """Whether they have time in common."""
    return max(one[0], other[0]) < min(one[1], other[1])


def widened(spans: Iterable[Span], margin: int) -> list[Span]:
    """Returns the spans with a margin before and after each."""
    return union((start - margin, end + margin) for start, end in spans if start < end)
