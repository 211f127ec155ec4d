"""Sizes of the database and of the stored audio, estimated if there are many rows.

A page must not read five million rows for that. Postgres keeps an estimate of rows (refreshed by
autovacuum and ANALYZE); for audio, one in a hundred pages of the table is read and extrapolated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.db import connection
from django.db.models import Count, Sum

from calls.models import Segment

EXACT_UP_TO = 200_000
"""Most segments that are summed exactly: takes about 50 ms."""
SAMPLE_PERCENT = 1


@dataclass(frozen=True)
class Table:
    """`rows` None: never counted. `size_bytes` includes indexes; None if unknown (SQLite)."""

    name: str
    rows: int | None
    size_bytes: int | None


@dataclass(frozen=True)
class Audio:
    """Objects of all segments in the audio store."""

    segments: int
    stored_bytes: int
    is_estimate: bool


def database_bytes() -> int:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute(
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            )
        return int(cursor.fetchone()[0])


def tables() -> list[Table]:
    """Returns the tables of the app `calls`, the largest first."""
    models = apps.get_app_config("calls").get_models()
    names = {model._meta.db_table: str(model._meta.verbose_name_plural) for model in models}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT relname, reltuples, pg_total_relation_size(oid) FROM pg_class"
                " WHERE relname = ANY(%s) AND relkind = 'r' AND relnamespace = "
                "current_schema()::regnamespace"
                " ORDER BY 3 DESC, 1",
                [list(names)],
            )
        else:  # SQLite counts by reading and has no sizes: acceptable for a trial
            # the names are those of our tables
            counts = (f"SELECT '{name}', count(*), NULL FROM {name}" for name in names)  # noqa: S608
            cursor.execute(f"{' UNION ALL '.join(counts)} ORDER BY 2 DESC, 1")
        return [
            Table(names[name], int(rows) if rows >= 0 else None, size)
            for name, rows, size in cursor.fetchall()
        ]


def audio(tables: Iterable[Table]) -> Audio:
    """Returns the sum over all segments: exact if `tables` lists few or an unknown number."""
    segments = next(
        (table.rows for table in tables if table.name == Segment._meta.verbose_name_plural), None
    )
    if segments is None or segments <= EXACT_UP_TO or connection.vendor != "postgresql":
        summed = Segment.objects.aggregate(
            segments=Count("pk"), stored_bytes=Sum("stored_bytes", default=0)
        )
        return Audio(**summed, is_estimate=False)
    with connection.cursor() as cursor:
        cursor.execute(
            # SAMPLE_PERCENT is a constant
            f"SELECT avg(stored_bytes) FROM calls_segment TABLESAMPLE SYSTEM ({SAMPLE_PERCENT})"  # noqa: S608
        )
        mean = cursor.fetchone()[0] or 0
    return Audio(segments, round(mean * segments), is_estimate=True)
