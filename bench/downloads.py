"""Downloads of a long call: memory with slow readers, seeks, and the answers to others meanwhile.

    python -m bench downloads [--hours 24] [--seconds 60] [--server uvicorn daphne] [--direct]

Memory: ten clients read the whole call as WAV, one channel per track, at 50 kB/s each, from uvicorn
and Daphne, directly and through the deployment's nginx; the table has the growth of the server, and
of nginx, at a third, two thirds and the end of that time. Seeks: the last 1000 bytes of the call.
Answers: another user requests a call of ten seconds as WAV again and again, while one user asks for
eight ranges of Opus at once, abandons ten seeks in MP3, and while the server receives SIGTERM with
four exports running.
"""

from __future__ import annotations

import argparse
import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from bench import cores, recordings
from bench.backends import Backends
from bench.export import MEGABYTE, VOICES, memory_of
from bench.installation import TOKEN, Installation, installed
from tests.front_door import FrontDoor
from tests.servers import Server

SERVERS = ("uvicorn", "daphne")
READERS = 10
BYTES_PER_SECOND = 50_000
"""What a slow reader takes."""
OTHER = "o" * 40
"""The key of the other user."""
STOP_SECONDS = 20.0
"""A stopped server has to end within so long (docs/operations.md)."""


class Refused(Exception):
    """The server has answered with an error, such as 503 while the machine is overloaded."""


@dataclass(frozen=True)
class Subject:
    """A running server, and the calls on it; `port` is where clients connect."""

    server: Server
    port: int
    nginx: Path | None
    """The folder of nginx, if it is in front."""
    long_call: UUID
    short_call: UUID

    def open(
        self,
        query: str,
        *,
        key: str = TOKEN,
        spec: str = "",
        call: UUID | None = None,
        method: str = "GET",
    ) -> http.client.HTTPConnection:
        """Returns the connection of a request for audio; its response is not read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        headers = {"Authorization": f"Token {key}"} | ({"Range": spec} if spec else {})
        url = f"/api/v1/calls/{call or self.long_call}/audio{query}"
        connection.request(method, url, headers=headers)
        return connection

    def size_of(self, query: str) -> int:
        """Returns the bytes of a file of known size."""
        connection = self.open(query, method="HEAD")
        size = int(connection.getresponse().headers["Content-Length"])
        connection.close()
        return size

    def read(self, query: str, **options: Any) -> tuple[float, int]:
        """Returns seconds and bytes of a whole response. Raises `Refused`."""
        started = time.perf_counter()
        connection = self.open(query, **options)
        response = connection.getresponse()
        size = len(response.read())
        connection.close()
        if response.status not in {200, 206}:
            raise Refused(response.status)
        return time.perf_counter() - started, size


@dataclass
class Answers:
    """Answer times of the other user, in seconds, while `running`."""

    subject: Subject
    times: list[float] = field(default_factory=list)
    failures: int = 0
    running: bool = True

    @contextmanager
    def measured(self) -> Iterator[None]:
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self.running = False
            thread.join()

    def _ask(self) -> None:
        while self.running:
            try:
                seconds, _ = self.subject.read("", key=OTHER, call=self.subject.short_call)
                self.times.append(seconds)
            except (OSError, http.client.HTTPException, Refused):
                self.failures += 1
            time.sleep(0.05)

    def row(self) -> dict[str, Any]:
        ordered = sorted(self.times) or [float("nan")]
        at = {"median": len(ordered) // 2, "p95": len(ordered) * 95 // 100, "max": -1}
        found = {f"{name}_ms": ordered[index] * 1000 for name, index in at.items()}
        return {"answers": len(self.times), "failures": self.failures, **found}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hours", type=float, default=24, help="length of the call")
    parser.add_argument("--seconds", type=float, default=60, help="of slow reading")
    parser.add_argument("--server", nargs="+", default=list(SERVERS), choices=SERVERS)
    parser.add_argument("--direct", action="store_true", help="without nginx")


def run(args: argparse.Namespace, backends: Backends) -> list[dict[str, Any]]:
    os.sched_setaffinity(0, cores.ALL)
    found: list[dict[str, Any]] = []
    with installed(backends.environment()) as installation:
        _make_other_user()
        long_call = recordings.make_call(round(args.hours * 3600), VOICES[:2])
        short_call = recordings.make_call(10, VOICES[:1])
        for name in args.server:
            for through in ("",) if args.direct else ("", "nginx"):
                with _subject(installation, name, through, long_call, short_call) as subject:
                    label = f"{name} behind {through}" if through else name
                    found += [
                        {"server": label, **row} for row in _measure(subject, args.seconds, label)
                    ]
    return found


@contextmanager
def _subject(
    installation: Installation, name: str, through: str, long_call: UUID, short_call: UUID
) -> Iterator[Subject]:
    with ExitStack() as stack:
        environment = {**installation.environment, "AUDIO_STORE": "files"}
        if through:
            environment["TRUSTED_PROXIES"] = "127.0.0.1"
        server = stack.enter_context(
            Server(name, environment=environment, data_dir=installation.data_dir)
        )
        port, folder = server.port, None
        if through:
            door = stack.enter_context(
                FrontDoor("behind-proxy", web=server.port, ingest=server.port)
            )
            port, folder = door.http, door.folder
        subject = Subject(server, port, folder, long_call, short_call)
        # One-time work of a process: connections, imports.
        subject.read("?end=1")
        yield subject


def _measure(subject: Subject, seconds: float, label: str) -> Iterator[dict[str, Any]]:
    for row in (
        _memory(subject, seconds),
        *_seeks(subject),
        _answers(subject, "nothing else", lambda: time.sleep(5)),
        _answers(subject, "eight ranges of Opus", lambda: _ranges_of_opus(subject)),
        _answers(subject, "ten abandoned seeks in MP3", lambda: _abandoned_seeks(subject)),
        _stop(subject),
    ):
        shown = (f"{key} {_text(value)}" for key, value in row.items() if key != "what")
        print(f"{label:<22}{row['what']:<30}{', '.join(shown)}", flush=True)
        yield row


def _memory(subject: Subject, seconds: float) -> dict[str, Any]:
    """Measures memory while ten clients read slowly."""
    before, nginx_before = memory_of(subject.server.pid), _memory_of_nginx(subject)
    stop = threading.Event()
    readers = [threading.Thread(target=_read_slowly, args=(subject, stop)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    grown: dict[str, Any] = {}
    for part in ("third", "two_thirds", "end"):
        stop.wait(seconds / 3)
        grown[f"{part}_mb"] = (memory_of(subject.server.pid) - before) / MEGABYTE
        grown[f"nginx_{part}_mb"] = (_memory_of_nginx(subject) - nginx_before) / MEGABYTE
    stop.set()
    for reader in readers:
        reader.join()
    return {"what": "memory, ten slow readers", "before_mb": before / MEGABYTE, **grown}


def _read_slowly(subject: Subject, stop: threading.Event) -> None:
    connection = subject.open("?layout=tracks")
    response = connection.getresponse()
    while not stop.wait(0.2):
        response.read(BYTES_PER_SECOND // 5)
    connection.close()


def _seeks(subject: Subject) -> Iterator[dict[str, Any]]:
    for name in ("wav", "mp3", "opus"):
        # The shorter of two: the first also fills the caches of the database.
        seconds = min(subject.read(f"?format={name}", spec="bytes=-1000")[0] for _ in range(2))
        yield {"what": f"seek to the end, {name}", "seconds": seconds}


def _answers(subject: Subject, what: str, work: Callable[[], None]) -> dict[str, Any]:
    answers = Answers(subject)
    with answers.measured():
        work()
    return {"what": what, **answers.row()}


def _ranges_of_opus(subject: Subject) -> None:
    """Asks for eight ranges at once, each of a hundred kilobytes at some place."""
    random = Random(8)
    size = subject.size_of("?format=opus")
    firsts = [random.randrange(size - 100_000) for _ in range(8)]
    specs = [f"bytes={first}-{first + 100_000}" for first in firsts]
    with ThreadPoolExecutor(len(specs)) as threads:
        list(threads.map(lambda spec: subject.read("?format=opus", spec=spec), specs))


def _abandoned_seeks(subject: Subject) -> None:
    """Asks for an MP3 from some place to its end, and leaves after a tenth of a second."""
    size = subject.size_of("?format=mp3")
    for place in range(1, 11):
        connection = subject.open("?format=mp3", spec=f"bytes={size * place // 11}-")
        time.sleep(0.1)
        connection.close()
    time.sleep(3)


def _stop(subject: Subject) -> dict[str, Any]:
    """Sends SIGTERM while four exports run and another user asks."""
    answers = Answers(subject)
    connections = [subject.open(f"?format={name}") for name in ("opus", "mp3") * 2]
    with answers.measured():
        time.sleep(1)
        started = time.perf_counter()
        subject.server.terminate(seconds=STOP_SECONDS)
        seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return {"what": "SIGTERM", "ended_after_seconds": seconds, **answers.row()}


def _memory_of_nginx(subject: Subject) -> int:
    """Returns the bytes of master and workers; 0 without nginx."""
    if subject.nginx is None:
        return 0
    master = int((subject.nginx / "nginx.pid").read_text())
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return sum(map(memory_of, [master, *map(int, children)]))


def _make_other_user() -> None:
    from django.contrib.auth.models import User  # needs Django set up
    from rest_framework.authtoken.models import Token

    user = User.objects.create(username="other", is_superuser=True)
    Token.objects.create(user=user, key=OTHER)


def _text(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
