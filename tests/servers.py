"""The real application in a separate process, which end-to-end tests can kill and restart.

with Server("uvicorn") as server:
    server.manage("drf_create_token", "operator")
    connect(server.media_url)
    server.kill()
    server.start()
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from urllib.parse import quote

from django.db import DEFAULT_DB_ALIAS, connections

from acsmedia.servers.commands import command

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STREAM_TOKEN = "stream-token-of-the-tests"


class Server:
    """One process on Daphne or uvicorn, listening on a free loopback port.

    Without `DATABASE_URL` in `environment` it has its own SQLite file in its data folder, created
    and migrated at the first start. Otherwise that database is used without migrating it;
    `database_url_of_the_test()` is the database of the running test.
    """

    def __init__(
        self,
        server: str = "daphne",
        *,
        environment: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        log_file: Path | None = None,
    ) -> None:
        self._own_folder = (
            TemporaryDirectory(prefix="acsmedia-server-") if data_dir is None else None
        )
        self.data_dir = Path(self._own_folder.name) if self._own_folder else data_dir or Path()
        self._log_file = log_file or self.data_dir / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"
        self._command = command(server, "127.0.0.1", self.port)
        self._environment = _environment(self.data_dir, environment or {})
        self._has_own_database = "DATABASE_URL" not in (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def media_url(self) -> str:
        """The URL that ACS would connect to, with the stream token."""
        token = quote(self._environment.get("ACS_STREAM_TOKEN", ""))
        return f"{self.ws_url}/ws/acs/media?token={token}"

    @property
    def pid(self) -> int:
        assert self._process, "the server has been started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped; a process that died counts as started."""
        return self._process is not None

    @property
    def log(self) -> str:
        """The process's standard output and standard error."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if self._own_folder:
            remove(self._own_folder)

    def start(self) -> Self:
        """Starts the process on its port and waits until it answers."""
        assert self._process is None, "one process at a time"
        if self._has_own_database and not (database := self.data_dir / "db.sqlite3").exists():
            database.write_bytes(migrated_database())
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        self._wait_for_answer()
        return self

    def kill(self) -> None:
        """Sends SIGKILL, like a crash or the kernel's out-of-memory killer."""
        self._stop(signal.SIGKILL)

    def terminate(self, *, seconds: float = 20) -> None:
        """Sends SIGTERM, like a deployment, and waits until the process exits."""
        self._stop(signal.SIGTERM, seconds)

    def manage(self, *arguments: str) -> str:
        """Runs `manage.py` in the environment of this server and returns what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"manage.py {arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done.stdout

    def _wait_for_answer(self) -> None:
        assert self._process
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.port):
            code = self._process.poll()
            assert code is None, (
                f"the server exited with {code} while starting:\n{self.log[-4000:]}"
            )
            assert time.monotonic() < deadline, (
                f"no answer after {START_SECONDS:.0f} s:\n{self.log[-4000:]}"
            )
            time.sleep(0.05)

    def _stop(self, number: signal.Signals, seconds: float = 20) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"still running {seconds} s after {number.name}:\n{self.log[-4000:]}"
            ) from None


def remove(folder: TemporaryDirectory[str]) -> None:
    """Waits for the sealer, which finishes its current file after its server was killed."""
    for _attempt in range(100):
        try:
            folder.cleanup()
        except OSError:  # it has just written another file
            time.sleep(0.1)
        else:
            return
    folder.cleanup()


@cache
def migrated_database() -> bytes:
    """Returns a migrated SQLite file, cached because migrating takes longer than most tests."""
    with TemporaryDirectory(prefix="acsmedia-server-") as folder:
        Server(data_dir=Path(folder)).manage("migrate", "--verbosity", "0")
        return (Path(folder) / "db.sqlite3").read_bytes()


def answers(port: int, path: str = "/healthz") -> bool:
    """Returns whether `GET path` on a loopback port answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Returns an unused loopback port below the kernel's ephemeral range, which begins at 32768
    (`ip_local_port_range`). So no outgoing connection takes the port while its server is stopped.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def database_url_of_the_test() -> str:
    """Returns the DATABASE_URL of the running test's database, for a server that shares it."""
    database = connections[DEFAULT_DB_ALIAS].settings_dict
    name = database["NAME"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        return f"sqlite:///{name}"
    host = database["HOST"] or database.get("OPTIONS", {}).get("host", "")
    account = f"{quote(database['USER'])}:{quote(database['PASSWORD'])}"
    if host.startswith("/"):  # the folder of a Unix socket
        return f"postgres://{account}@/{quote(name)}?host={quote(host, safe='')}"
    return f"postgres://{account}@{host}:{database['PORT'] or 5432}/{quote(name)}"


def _environment(data_dir: Path, overrides: Mapping[str, str]) -> dict[str, str]:
    defaults = {
        "SECRET_KEY": "only-for-tests-" + "0" * 50,
        "DATA_DIR": str(data_dir),
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "INSECURE_HTTP": "true",
        "ACS_AUTH": "token",
        "ACS_STREAM_TOKEN": STREAM_TOKEN,
        "DJANGO_SETTINGS_MODULE": "acsmedia.settings",
        "PYTHONUNBUFFERED": "1",
    }
    inherited = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    return {**inherited, **defaults, **overrides}
