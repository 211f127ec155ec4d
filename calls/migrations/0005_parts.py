"""An index for parts of identifiers and names: see calls/lookups.py. Postgres only; elsewhere this does nothing.

Trigrams by hand instead of pg_trgm: that extension needs a privilege that a role may lack, and packages that a server may
lack. The comparison that follows is UPPER(…) LIKE UPPER(…), so the trigrams are of the upper case too.
"""

from django.db import migrations

# It costs as much as a thousand comparisons: never to be made for the rows of a table where an index has them.
FUNCTION = """
CREATE FUNCTION calls_trigrams(value text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
    SELECT coalesce(array_agg(substr(upper_case, place, 3)), '{}')
    FROM upper(value) AS upper_case, generate_series(1, length(upper_case) - 2) AS place
$$
"""

INDEXES = {
    "call_connection_part": ("calls_call", "call_connection_id"),
    "call_correlation_part": ("calls_call", "correlation_id"),
    "participant_raw_id_part": ("calls_participant", "raw_id"),
    "participant_name_part": ("calls_participant", "display_name"),
    "subscription_id_part": ("calls_subscription", "subscription_id"),
    "ledger_reason_part": ("calls_ledgerentry", "reason"),
}


def add(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(FUNCTION)
    for name, (table, column) in INDEXES.items():
        # Without a list of pending entries: every search would read it from end to end.
        schema_editor.execute(
            f"CREATE INDEX {name} ON {table} USING gin (calls_trigrams({column})) WITH (fastupdate = off)"
        )


def remove(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in INDEXES:
        schema_editor.execute(f"DROP INDEX {name}")
    schema_editor.execute("DROP FUNCTION calls_trigrams(text)")


class Migration(migrations.Migration):

    dependencies = [
        ("calls", "0004_segment_peaks"),
    ]

    operations = [
        migrations.RunPython(add, remove, elidable=False),
    ]
