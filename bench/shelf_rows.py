"""Rows of a year of calls, generated in Postgres: the recorder does not run, and no audio is
stored.

Calls are spread evenly over the year that ends now. Each has a caller with a phone number (60,000
different ones), an agent (200 ACS users), a socket, and between 5 and 45 segments of ten seconds
per track; every thousandth is ten minutes long. Everything is derived from the number of the call,
so a second run measures the same rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

STATEMENTS = Path(__file__).with_name("shelf.sql").read_text(encoding="utf-8").split(";\n")


def fill(connection: Any, calls: int) -> None:
    """Writes the rows of `calls` calls and updates the planner's statistics. `connection` is
    Django's.
    """
    with connection.cursor() as cursor:
        # The generated references are correct; checking ten million of them would take longer than
        # writing them.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET synchronous_commit = off")
        indexes = _without_indexes(cursor)
        cursor.execute("SELECT set_config('bench.calls', %s, false)", [str(calls)])
        for statement in filter(str.strip, STATEMENTS):
            cursor.execute(statement)
        for definition in indexes:
            cursor.execute(definition)
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")


def _without_indexes(cursor: Any) -> list[str]:
    """Drops the indexes of segments that hold no constraint; returns statements to create them."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'calls_segment'"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition for _, definition in found]
