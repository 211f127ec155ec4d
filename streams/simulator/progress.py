"""Output on the terminal: the progress bar during a run, and the table at its end."""

from __future__ import annotations

import asyncio
from io import StringIO
from shutil import get_terminal_size

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from streams.simulator.report import Report

REFRESH_SECONDS = 0.2
TABLE_CALLS = 40  # number of listed calls, the newest ones; a loop of days has thousands


async def show_progress(report: Report, *, endless: bool) -> None:
    """Shows a bar on stderr until cancelled; nothing if stderr is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} packets"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        while True:
            done = sum(not call.playing for call in report.calls)
            description = f"calls: {len(report.calls) - done} live, {done} over"
            total = None if endless or not report.planned_packets else report.planned_packets
            progress.update(task, description=description, completed=report.packets, total=total)
            await asyncio.sleep(REFRESH_SECONDS)


def table_of(report: Report) -> str:
    """Returns the closing table: a row per call, and the totals below."""
    table = Table(show_footer=True)
    table.add_column(
        "call", f"{len(report.calls)} call{'s' * (len(report.calls) != 1)}", no_wrap=True
    )
    table.add_column("packets sent", f"{report.packets}", justify="right")
    table.add_column("not sent", f"{sum(call.lost for call in report.calls)}", justify="right")
    table.add_column("refused", f"{report.refused}", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("late ms", justify="right")
    table.add_column("close", justify="right")
    table.add_column("", "" if not report.failed else f"{len(report.failed)} failed")
    for call in report.calls[-TABLE_CALLS:]:
        table.add_row(
            call.connection_id,
            str(call.packets),
            str(call.lost),
            str(call.refused),
            f"{call.seconds:.1f}",
            f"{call.latest_seconds * 1000:.0f}",
            "dropped" if call.dropped else str(call.close_code or "-"),
            call.problem,
        )
    text = StringIO()
    Console(file=text, width=max(120, get_terminal_size().columns)).print(table)
    left_out = len(report.calls) - TABLE_CALLS
    note = f"({left_out} earlier calls are in the totals only)\n" if left_out > 0 else ""
    return text.getvalue() + note
