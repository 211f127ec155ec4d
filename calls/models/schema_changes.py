"""Schema changes beside running recorders, for migrations.

A change that waits for the lock of a table makes every later query wait behind it. One that holds
the locks of two tables deadlocks with the sealer, which takes them in another order. So each change
here locks one table, in a transaction of its own, for milliseconds: after `LOCK_SECONDS` it lets
the queries pass, and is tried again. Indexes are built concurrently. On SQLite the operations are
those of Django.

A migration that changes more than one table, or builds an index, needs `atomic = False`. A repeated
operation does nothing, because such a migration may stop half-way.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, migrations, transaction

LOCK_SECONDS = 2
ATTEMPTS = 50
PAUSE_SECONDS = 0.5, 1.5
"""Between two attempts: time for the queries that have waited. Of no fixed length, or the attempts
could keep in step with transactions that come regularly.
"""

GIVES_WAY = frozenset({"55P03", "40P01"})
"""`lock_not_available` and `deadlock_detected` of Postgres."""


def briefly(schema_editor: Any, change: Callable[[], None]) -> None:
    """Calls `change`, which locks one table, in a transaction of its own that waits only briefly.

    Raises `OperationalError` if the lock was not available for two minutes.
    """
    connection = schema_editor.connection
    is_postgres = connection.vendor == "postgresql"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(using=connection.alias):
                if is_postgres:
                    schema_editor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                change()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") not in GIVES_WAY or attempt == ATTEMPTS:
                error.add_note("A transaction holds the table: end it, and migrate again.")
                raise
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - no secret
        else:
            return


class AddField(migrations.AddField):
    """A column that is NULL or has a `db_default`, so that no row is rewritten."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        column = model._meta.get_field(self.name).column
        if column in _columns(schema_editor.connection, model._meta.db_table):
            return
        forwards = super().database_forwards
        briefly(schema_editor, lambda: forwards(app_label, schema_editor, from_state, to_state))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        column = model._meta.get_field(self.name).column
        if column not in _columns(schema_editor.connection, model._meta.db_table):
            return
        backwards = super().database_backwards
        briefly(schema_editor, lambda: backwards(app_label, schema_editor, from_state, to_state))


class AddIndex(migrations.AddIndex):
    """An index that Postgres builds while rows are written."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        # one that was not completed is invalid, and would be in the way
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        schema_editor.add_index(model, self.index, concurrently=True)


class RemoveIndexOfForeignKey(migrations.AlterField):
    """`db_index=False` for a foreign key. Django would drop the constraint and add it again, and so
    lock both tables and read all rows.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql":
            forwards = super().database_forwards
            briefly(schema_editor, lambda: forwards(app_label, schema_editor, from_state, to_state))
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        column = model._meta.get_field(self.name).column
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, facts in found.items():
            is_plain = facts["index"] and not facts["unique"] and not facts["primary_key"]
            if is_plain and facts["columns"] == [column]:
                schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        index = schema_editor._create_index_sql  # noqa: SLF001 - Django has no public name for it
        schema_editor.execute(index(model, fields=[field], concurrently=True))


def replace_unique_constraint(
    schema_editor: Any, table: str, name: str, columns: str, include: str = ""
) -> None:
    """Gives a unique constraint of Postgres another list of included columns, "" for none.

    The index is built beside the old one, which is then replaced under a brief lock.
    """
    new = f"{name}_new"
    included = f" INCLUDE ({include})" if include else ""
    schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
    schema_editor.execute(
        f"CREATE UNIQUE INDEX CONCURRENTLY {new} ON {table} ({columns}){included}"
    )
    swap = (
        f"ALTER TABLE {table} DROP CONSTRAINT {name}, "
        f"ADD CONSTRAINT {name} UNIQUE USING INDEX {new}"
    )
    briefly(schema_editor, lambda: schema_editor.execute(swap))


def _columns(connection: Any, table: str) -> set[str]:
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table)
    return {column.name for column in described}
