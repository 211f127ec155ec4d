"""Triggers that refuse to change, delete or replace audit entries, on Postgres and SQLite."""

from __future__ import annotations

from typing import Any

TABLE = "calls_auditentry"
MESSAGE = "audit entries can be neither changed nor deleted"

_FUNCTION = (
    "CREATE OR REPLACE FUNCTION calls_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{MESSAGE}'; END $$"
)
_TRIGGER = (
    f"CREATE TRIGGER calls_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}"
    " FOR EACH STATEMENT EXECUTE FUNCTION calls_audit_refuse()"
)
_ABORT = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"

# INSERT OR REPLACE deletes without the trigger for deletions.
_REPLACED = f"WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE number = NEW.number)"  # noqa: S608

ADD = {
    "postgresql": (_FUNCTION, _TRIGGER),
    "sqlite": (
        f"CREATE TRIGGER calls_audit_no_update BEFORE UPDATE ON {TABLE} {_ABORT}",
        f"CREATE TRIGGER calls_audit_no_delete BEFORE DELETE ON {TABLE} {_ABORT}",
        f"CREATE TRIGGER calls_audit_no_replace BEFORE INSERT ON {TABLE} {_REPLACED} {_ABORT}",
    ),
}
REMOVE = {
    "postgresql": (
        f"DROP TRIGGER IF EXISTS calls_audit_append_only ON {TABLE}",
        "DROP FUNCTION IF EXISTS calls_audit_refuse()",
    ),
    "sqlite": tuple(
        f"DROP TRIGGER IF EXISTS calls_audit_no_{what}" for what in ("update", "delete", "replace")
    ),
}


def add(_apps: Any, schema_editor: Any) -> None:
    """Creates the triggers, in a migration."""
    _run(schema_editor, ADD)


def remove(_apps: Any, schema_editor: Any) -> None:
    """Drops the triggers, when the migration is reversed."""
    _run(schema_editor, REMOVE)


def _run(schema_editor: Any, statements: dict[str, tuple[str, ...]]) -> None:
    for statement in statements[schema_editor.connection.vendor]:
        schema_editor.execute(statement)
