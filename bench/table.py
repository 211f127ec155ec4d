"""Text tables: one line per step, one line per row. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figures

Cells = Sequence[str]


def number(value: float | None, digits: int = 0) -> str:
    """Formats a number; None is a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def table(head: Cells, lines: Sequence[Cells]) -> str:
    """Returns a Markdown table, aligned for reading as text."""
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in (head, rule, *lines))


def _line(cells: Cells, widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *others]) + " |"


STEP_WIDTHS = (16, 6, 8, 7, 6, 9, 14, 11, 14, 8, 9)
STEP_HEAD = (
    *(
        "row",
        "calls",
        "CPU µs",
        "DB µs",
        "busy",
        "kB/call",
        "lag 50/99 ms",
        "unwritten",
        "levels 50/95",
        "seal s",
    ),
    "late ms",
)


def step_line(figures: Figures) -> str:
    """Formats a step during a run: its measurements, and whether it holds."""
    cells = (
        figures.row,
        str(figures.calls),
        number(figures.cpu_us, 1),
        number(figures.database_cpu_us, 1),
        f"{figures.server_busy:.0%}",
        number(figures.memory_kb_per_call),
        f"{number(figures.lag_p50_ms, 1)}/{number(figures.lag_p99_ms, 1)}",
        number(figures.unwritten_p99_ms, 1),
        f"{number(figures.levels_p50_ms)}/{number(figures.levels_p95_ms)}",
        number(figures.seal_lag_seconds, 1),
        number(figures.late_p99_ms, 1),
    )
    verdict = "; ".join(figures.faults()) or "holds"
    valid = "" if figures.is_valid else " NOT VALID: the generator was late"
    return spaced(cells) + f"  {verdict}{valid}"


def spaced(cells: Cells) -> str:
    first, *others = cells
    widths = STEP_WIDTHS[1:]
    return first.ljust(STEP_WIDTHS[0]) + "".join(
        cell.rjust(width) for cell, width in zip(others, widths, strict=True)
    )
