"""Ingest processes behind nginx: a rolling restart, then one that hangs (SIGSTOP). How long is a
call without a socket, and how many handshakes are refused?

Long calls reconnect 0.1 s after they have lost their socket; ACS takes its own time. New calls
begin twice a second meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

from bench.backends import Backends
from bench.table import number, table
from tests.front_door import FrontDoor
from tests.servers import STREAM_TOKEN, Server, answers, free_port
from tests.torture.caller import Caller
from tests.torture.media_socket import MediaSocket, Refused

NEW_CALL_SECONDS = 0.5
HEAD = (
    "phase",
    "longest without a socket, s",
    "longest not read, s",
    "sockets lost",
    "new calls",
    "slowest handshake, s",
    "refused",
)
BETWEEN_SECONDS = 5.0
"""Between two restarts: the runbook says 30 s, for ACS."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=20, help="long calls (20)")
    parser.add_argument("--processes", type=int, default=2, help="ingest processes (2)")
    parser.add_argument("--hang", type=float, default=60.0, help="seconds of SIGSTOP (60)")


def run(args: argparse.Namespace, backends: Backends) -> dict[str, Any]:
    """Prints a line for each phase."""
    environment = {**backends.environment(), "ROLE": "ingest", "AUDIO_STORE": "database"}
    with ExitStack() as stack:
        servers = [Server("uvicorn", environment=environment) for _ in range(args.processes)]
        servers[0].manage("migrate", "--verbosity", "0")
        for server in servers:
            stack.enter_context(server)
        ports = [server.port for server in servers]
        door = stack.enter_context(FrontDoor("behind-proxy", web=free_port(), ingest=ports))
        phases = asyncio.run(measure(args, servers, door))
    lines = [
        (
            phase.name,
            number(phase.longest_seconds, 1),
            number(phase.unread_seconds, 1),
            str(phase.lost_sockets),
            str(phase.new_calls),
            number(phase.slowest_handshake_seconds, 1),
            ", ".join(f"{status}: {count}" for status, count in sorted(phase.refused.items()))
            or "0",
        )
        for phase in phases
    ]
    print("", table(HEAD, lines), "", sep="\n", flush=True)
    return {phase.name: asdict(phase) for phase in phases}


@dataclass
class Phase:
    """`longest_seconds`: of a call without a socket; `unread_seconds`: from the hang until the last
    call has a socket that is read.
    """

    name: str
    longest_seconds: float = 0.0
    unread_seconds: float | None = None
    lost_sockets: int = 0
    new_calls: int = 0
    slowest_handshake_seconds: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)

    def note_handshake(self, began: float) -> None:
        self.new_calls += 1
        seconds = time.monotonic() - began
        self.slowest_handshake_seconds = max(self.slowest_handshake_seconds, seconds)


class LongCall(Caller):
    """Notes when it had no socket, as pairs of monotonic times."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(url, seed)
        self.without: list[tuple[float, float]] = []
        self._lost_at: float | None = None

    async def _connect(self) -> bool:
        if not await super()._connect():
            return False
        if self._lost_at is not None:
            self.without.append((self._lost_at, time.monotonic()))
            self._lost_at = None
        return True

    async def _drop_socket(self) -> None:
        await super()._drop_socket()
        self._lost_at = self._lost_at or time.monotonic()


async def measure(args: argparse.Namespace, servers: list[Server], door: FrontDoor) -> list[Phase]:
    url = f"ws://localhost:{door.http}/ws/acs/media?token={STREAM_TOKEN}"
    random = Random(1)
    calls = [LongCall(url, random.getrandbits(40)) for _ in range(args.calls)]
    for call in calls:
        call.start()
        await asyncio.sleep(0.05)

    async def restart_all() -> None:
        for server in servers:
            await asyncio.to_thread(server.terminate)
            await asyncio.to_thread(server.start)
            while not await asyncio.to_thread(answers, server.port, "/readyz"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(BETWEEN_SECONDS)

    async def hang_one() -> None:
        os.kill(servers[0].pid, signal.SIGSTOP)
        await asyncio.sleep(args.hang)
        os.kill(servers[0].pid, signal.SIGCONT)

    phases = [await phase_of("rolling restart", restart_all, url, calls)]
    hangs_at = time.monotonic()
    phases.append(await phase_of(f"one hangs for {args.hang:.0f} s", hang_one, url, calls))
    opened = [after for call in calls for before, after in call.without if before >= hangs_at]
    phases[-1].unread_seconds = max(opened, default=hangs_at) - hangs_at
    for call in calls:
        await call.end()
    return phases


async def phase_of(
    name: str, work: Callable[[], Awaitable[None]], url: str, calls: list[LongCall]
) -> Phase:
    """Does `work` while new calls begin; then waits until every long call has a socket."""
    phase, began = Phase(name), time.monotonic()
    refused_before = sum((call.refused for call in calls), Counter[int]())
    async with new_calls(url, phase):
        await work()
    while not all(call.socket for call in calls):  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0.1)
    without = [pair for call in calls for pair in call.without if pair[0] >= began]
    phase.lost_sockets = len(without)
    phase.longest_seconds = max((after - before for before, after in without), default=0.0)
    refused = sum((call.refused for call in calls), Counter[int]()) - refused_before
    phase.refused.update({str(status): count for status, count in refused.items()})
    return phase


@asynccontextmanager
async def new_calls(url: str, phase: Phase) -> AsyncIterator[None]:
    """Begins short calls in the block, each on a task of its own."""

    async def begin() -> None:
        began = time.monotonic()
        try:
            socket = await MediaSocket.open(url, {"x-ms-call-connection-id": str(uuid4())})
        except Refused as refused:
            phase.refused[str(refused.status)] += 1
        except (OSError, TimeoutError) as error:
            phase.refused[type(error).__name__] += 1
        else:
            phase.note_handshake(began)
            await socket.close()

    async def keep_calling(ending: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not ending.is_set():
                tasks.create_task(begin())
                await asyncio.sleep(NEW_CALL_SECONDS)

    ending = asyncio.Event()
    calling = asyncio.create_task(keep_calling(ending))
    try:
        yield
    finally:
        ending.set()
        await calling
