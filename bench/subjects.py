"""The subjects: the rows of the tables. Each starts its processes on the server's core and reports
what it stored.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from acsmedia.servers.commands import command
from bench import cores
from bench.backends import Backends
from bench.figures import Figures
from bench.frames import PACKET_SAMPLES
from bench.histogram import Histogram
from bench.load import Report
from tests.servers import Server
from tests.torture.dashboard import log_in

DRAIN_SECONDS = 180.0
"""How long a step waits for the sealer at its end."""


class Bare(Server):
    """A process that is not the product, with its own command line."""

    def __init__(
        self, command_line: Sequence[str], *, environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(environment={"DATABASE_URL": "sqlite:///:memory:", **(environment or {})})
        self._command = [part.replace("PORT", str(self.port)) for part in command_line]

    def figures(self) -> dict[str, Any]:
        """Returns its own figures."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/figures", headers={"Host": "localhost"})
        reported: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return reported


class Profiled(Server):
    """The product with a sampler (`bench.profiled`), which writes to `profile`."""

    def __init__(self, server: str, *, environment: dict[str, str], data_dir: Path) -> None:
        self.profile = data_dir / "profile.json"
        super().__init__(
            server,
            environment={**environment, "BENCH_PROFILE": str(self.profile)},
            data_dir=data_dir,
        )
        self._command = [sys.executable, "-m", "bench.profiled", *self._command[2:]]


class Subject:
    """A context manager with one or more ingest processes. `note` adds figures only they have."""

    def __init__(self, name: str, backends: Backends) -> None:
        self.name = name
        self._backends = backends
        self._stack = ExitStack()
        self._servers: list[Server] = []
        self.spool: Path | None = None
        self.data_dir: Path | None = None
        self.cookie = ""
        self.live_url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def media_urls(self) -> list[str]:
        return [server.media_url for server in self._servers]

    @property
    def pids(self) -> list[int]:
        return [server.pid for server in self._servers]

    async def drained(self) -> None:
        """Waits until everything received is stored."""

    def note(self, figures: Figures, report: Report) -> None:
        """Adds the number of stored packets and their delay."""
        raise NotImplementedError

    def participants(self, report: Report) -> dict[str, int]:
        """Returns the due time in µs of each first packet, by participant id as in levels."""
        return {
            name: report.begun_us[call.index]
            for call in report.calls
            for name in (*call.participant_ids, *call.raw_ids)
        }

    def _start(self) -> None:
        raise NotImplementedError

    def _run(self, server: Server, on: set[int]) -> None:
        with cores.pinned(on):
            self._servers.append(self._stack.enter_context(server))


class Ours(Subject):
    """The recorder on uvicorn or Daphne, in one process or several with a shared database and
    spool.
    """

    def __init__(
        self,
        name: str,
        backends: Backends,
        server: str,
        *,
        on: Sequence[set[int]] = (cores.SERVER,),
    ) -> None:
        super().__init__(name, backends)
        self._server = server
        self._on = on
        self._url = ""

    def _start(self) -> None:
        environment = self._backends.environment()
        self._url = environment["DATABASE_URL"]
        self.data_dir = Path(
            self._stack.enter_context(TemporaryDirectory(prefix="acsmedia-bench-"))
        )
        self.spool = self.data_dir / "spool"
        for number, on in enumerate(self._on):
            self._run(self._made(environment, self.data_dir, number), on)
        self.cookie = log_in(self._servers[0].port)
        self.live_url = f"{self._servers[0].ws_url}/ws/live"

    def _made(self, environment: dict[str, str], data_dir: Path, number: int) -> Server:
        log_file = data_dir / f"server-{number}.log"
        return Server(self._server, environment=environment, data_dir=data_dir, log_file=log_file)

    async def drained(self) -> None:
        assert self.spool, "it was started"
        for _try in range(int(DRAIN_SECONDS / 0.1)):
            if not any(path.suffix in {".open", ".journal"} for path in self.spool.glob("*/*")):
                return
            await asyncio.sleep(0.1)

    def note(self, figures: Figures, report: Report) -> None:
        samples = self._backends.database.query(
            self._url,
            "SELECT c.call_connection_id, SUM(s.sample_count) FROM calls_segment s"
            " JOIN calls_participant p ON p.id = s.participant_id JOIN calls_call c ON c.id = "
            "p.call_id"
            " GROUP BY c.call_connection_id",
        )
        stored = {connection_id: int(total) // PACKET_SAMPLES for connection_id, total in samples}
        figures.packets_stored, figures.packets_too_many = compared(report, stored)
        gaps = self._backends.database.query(
            self._url, "SELECT COUNT(*) FROM calls_ledgerentry WHERE kind = 'gap'"
        )
        figures.gaps = int(gaps[0][0])


class OursProfiled(Ours):
    """The recorder with a profile of its time."""

    profile = Path()

    def _made(self, environment: dict[str, str], data_dir: Path, number: int) -> Server:
        assert number == 0, "only one process is profiled"
        server = Profiled(self._server, environment=environment, data_dir=data_dir)
        self.profile = server.profile
        return server


class Tutorial(Subject):
    """`bench.tutorial` on Daphne."""

    def _start(self) -> None:
        environment = self._backends.environment()
        self._url = environment["DATABASE_URL"]
        environment["DJANGO_SETTINGS_MODULE"] = "bench.tutorial.settings"
        line = [*command("daphne", "127.0.0.1", 0)[:-1], "bench.tutorial.asgi:application"]
        line[line.index("--port") + 1] = "PORT"
        server = Bare(line, environment=environment)
        server.manage("migrate", "--run-syncdb", "--verbosity", "0")
        self._run(server, cores.SERVER)
        self.live_url = f"{server.ws_url}/ws/live"

    async def drained(self) -> None:
        """Waits until no new rows appear for a second."""
        before = -1
        for _try in range(int(DRAIN_SECONDS)):
            now = int(
                self._backends.database.query(self._url, "SELECT COUNT(*) FROM tutorial_chunk")[0][
                    0
                ]
            )
            if now == before:
                return
            before = now
            await asyncio.sleep(1)

    def note(self, figures: Figures, report: Report) -> None:
        query = self._backends.database.query
        figures.packets_stored = int(query(self._url, "SELECT COUNT(*) FROM tutorial_chunk")[0][0])
        lag = Histogram()
        first, end = report.window_us
        for timestamp, received_at in query(
            self._url, "SELECT timestamp, received_at FROM tutorial_chunk"
        ):
            due_us = round(timestamp.timestamp() * 1_000_000)
            if first <= due_us < end:
                lag.add(round(received_at.timestamp() * 1_000_000) - due_us)
        figures.lag_p50_ms, figures.lag_p99_ms = lag.quantile_ms(0.5), lag.quantile_ms(0.99)


class Decoder(Subject):
    """`bench.bare` on uvicorn: decodes and keeps nothing."""

    def _start(self) -> None:
        line = [*command("uvicorn", "127.0.0.1", 0)[:-1], "bench.bare:application"]
        line[line.index("--port") + 1] = "PORT"
        self._run(Bare(line), cores.SERVER)

    def note(self, figures: Figures, report: Report) -> None:
        reported = _figures_of(self._servers)
        lag = Histogram(reported["lag"])
        figures.packets_stored = reported["packets"]
        figures.lag_p50_ms, figures.lag_p99_ms = lag.quantile_ms(0.5), lag.quantile_ms(0.99)


class RawReader(Subject):
    """`bench.raw`: reads without decoding."""

    def _start(self) -> None:
        self._run(Bare([sys.executable, "-m", "bench.raw", "PORT"]), cores.SERVER)

    def note(self, figures: Figures, report: Report) -> None:
        reported = _figures_of(self._servers)
        lag = Histogram(reported["lag"])
        figures.packets_stored = figures.packets_sent * reported["bytes"] // report.bytes_sent
        figures.lag_p50_ms, figures.lag_p99_ms = lag.quantile_ms(0.5), lag.quantile_ms(0.99)


def compared(report: Report, stored: Mapping[str, int]) -> tuple[int, int]:
    """Returns the packets both sent and stored, and the surplus packets. A surplus in one call does
    not compensate a loss in another.

    `stored` has packets by connection id.
    """
    each = [
        (report.packets[call.index], stored.get(call.connection_id, 0)) for call in report.calls
    ]
    return sum(min(pair) for pair in each), sum(max(0, there - sent) for sent, there in each)


def _figures_of(servers: Sequence[Server]) -> dict[str, Any]:
    [server] = servers
    assert isinstance(server, Bare), "only a bare server reports figures"
    return server.figures()


def subject(name: str, backends: Backends) -> Subject:
    """Returns the subject of that row name."""
    rows: dict[str, Callable[[], Subject]] = {
        "tutorial-daphne": lambda: Tutorial(name, backends),
        "ours-daphne": lambda: Ours(name, backends, "daphne"),
        "ours-uvicorn": lambda: Ours(name, backends, "uvicorn"),
        "bare-uvicorn": lambda: Decoder(name, backends),
        "raw-sockets": lambda: RawReader(name, backends),
    }
    return rows[name]()


ROWS = {
    "tutorial-daphne": "an idiomatic consumer on Daphne",
    "ours-daphne": "the recorder on Daphne",
    "ours-uvicorn": "the recorder on uvicorn",
    "bare-uvicorn": "uvicorn, decodes and discards",
    "raw-sockets": "raw sockets, only read",
}
