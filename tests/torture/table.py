"""The result table: one row per fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = (
    "fault",
    "server",
    "database",
    "rounds",
    "sent",
    "stored",
    "lost, ms (worst)",
    "promised",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class Row:
    """`sent` and `stored` are in packets of 20 ms; `broken` and `figures` are shown below
    the row.
    """

    fault: str
    server: str
    database: str
    rounds: int
    sent: int
    stored: int
    lost_ms: int
    promised: str
    broken: Sequence[str]
    figures: Sequence[str]
    skipped: str = ""

    @property
    def verdict(self) -> str:
        return f"skipped: {self.skipped}" if self.skipped else "BROKEN" if self.broken else "holds"

    def cells(self) -> tuple[str, ...]:
        numbers = (self.rounds, self.sent, self.stored, self.lost_ms)
        return (
            self.fault,
            self.server,
            self.database,
            *map(str, numbers),
            self.promised,
            self.verdict,
        )


WIDTHS = (22, 7, 8, 6, 7, 7, 16, 52, 7)
MAX_BROKEN = 8


def head() -> str:
    return _line(HEAD) + "\n" + _line(tuple("-" * width for width in WIDTHS))


def lines(row: Row) -> str:
    """Returns the row and its remarks."""
    remarks = [f"    {figure}" for figure in row.figures]
    remarks += [f"  ! {sentence}" for sentence in row.broken[:MAX_BROKEN]]
    if len(row.broken) > MAX_BROKEN:
        remarks.append(f"  ! and {len(row.broken) - MAX_BROKEN} more")
    return "\n".join([_line(row.cells()), *remarks])


def _line(cells: Sequence[str]) -> str:
    padded = (
        cell.rjust(width) if index in {3, 4, 5, 6} else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return "  ".join(padded).rstrip()
