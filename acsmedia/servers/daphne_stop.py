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

import structlog
from daphne.server import Server
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from acsmedia.servers.commands import STOP_SECONDS

log = structlog.get_logger(__name__)


def wait_for_requests() -> None:
    """Patches Daphne. Must be called once, before it serves."""

    def kill_all_applications(server: Server) -> Deferred[None]:
        return Deferred.fromFuture(asyncio.ensure_future(_end(server)))

    Server.kill_all_applications = kill_all_applications


async def _end(server: Server) -> None:
    """Cancels all applications, and waits for them for at most `STOP_SECONDS`."""
    found = (details.get("application_instance") for details in server.connections.values())
    running = {task for task in found if task and not task.done()}
    for task in running:
        task.cancel()
    if running:
        _, left = await asyncio.wait(running, timeout=STOP_SECONDS)
        if left:
            log.warning("requests not ended", number=len(left))
            reactor.addSystemEventTrigger("after", "shutdown", _leave)  # type: ignore[arg-type]


def _leave() -> None:
    """Ends the process without its threads, once the recorder has stopped and the log is written:
    some wait for the event loop, which has stopped.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name
    os._exit(0)
