"""Daphne: waits at SIGTERM until every request has ended, or for a few seconds.

Daphne 4.2.3 cancels its applications and waits for the first of them only; a connection without a
request even prevents that. Then the event loop stops under the others. A thread that waits for the
loop, as each synchronous middleware does, waits forever, and with it the process: its recorder is
not stopped, and others seal its journals only after it has been killed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from contextlib import suppress

import structlog
from daphne.server import Server
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from acsmedia.servers.commands import STOP_SECONDS

log = structlog.get_logger(__name__)


def wait_for_requests() -> None:
    """Patches Daphne. Must be called once, before it serves."""

    def kill_all_applications(server: Server) -> Deferred[None]:
        reactor.addSystemEventTrigger("after", "shutdown", _leave, server)  # type: ignore[arg-type]
        return Deferred.fromFuture(asyncio.ensure_future(_end(server)))

    Server.kill_all_applications = kill_all_applications


async def _end(server: Server) -> None:
    """Cancels all applications, and waits for them for at most `STOP_SECONDS`. Connections that are
    open may begin further requests meanwhile.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            while running := _running(server):
                for task in running:
                    task.cancel()
                await asyncio.wait(running)


def _running(server: Server) -> set[asyncio.Future[None]]:
    found = (details.get("application_instance") for details in server.connections.values())
    return {task for task in found if task and not task.done()}


def _leave(server: Server) -> None:
    """Ends the process without its threads if requests are left, once the recorder has stopped and
    the log is written: some threads wait for the event loop, which has stopped.
    """
    if left := _running(server):
        log.warning("requests not ended", number=len(left))
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name
        os._exit(0)
