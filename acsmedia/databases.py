"""Connection options of SQLite and Postgres, for the settings."""

from __future__ import annotations

from typing import Any

SQLITE_OPTIONS: dict[str, Any] = {
    # IMMEDIATE takes the write lock when a transaction begins: with deferred transactions 229 of
    # 600 concurrent writes failed.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
}


def with_options(database: dict[str, Any], *, password: str, pool_size: int) -> dict[str, Any]:
    """Returns Django's settings of a database, with the options that acsmedia needs.

    `password` is for a URL without one, which may then be logged and need not be quoted. Raises
    `ValueError` for another database.
    """
    engine = database.get("ENGINE")
    if engine == "django.db.backends.sqlite3":
        return {**database, "OPTIONS": SQLITE_OPTIONS}
    if engine == "django.db.backends.postgresql":
        options = postgres_options(database.get("OPTIONS", {}), pool_size)
        return {
            **database,
            "PASSWORD": database.get("PASSWORD") or password,
            "OPTIONS": options,
        }
    raise ValueError("neither SQLite nor Postgres")


def postgres_options(given: dict[str, Any], pool_size: int) -> dict[str, Any]:
    """Returns the options of libpq and of the pool; those `given` in DATABASE_URL come last."""
    return {
        "connect_timeout": 3,
        # Over TCP a lost host is detected within 10 s; libpq would wait for 15 minutes.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,  # milliseconds
        # A pool instead of CONN_MAX_AGE: under ASGI every thread would keep its own connection.
        "pool": {
            "min_size": 0,
            "max_size": pool_size,
            "timeout": 3,
            # seconds; otherwise reconnection attempts back off further and further
            "reconnect_timeout": 1,
        },
        **given,
        # Postgres compiles queries that it expects to be slow, among them most lists: 80 to 290 ms
        # for queries that take 1 to 30 (docs/capacity.md). Options in DATABASE_URL come later, so
        # they take precedence.
        "options": " ".join(["-c jit=off", *filter(None, [given.get("options")])]),
    }
