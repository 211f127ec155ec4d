"""The server process dies, or is told to go."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.servers import Server
from tests.torture.trial import Fault, Trial

ALLOWED_MS = 200
"""kill -9: what may be lost of what was sent each time, because it was still in the buffers of
kernel and server.
"""


async def kill(trial: Trial) -> None:
    """Again and again on one installation: while audio comes, while a dead process's journals are
    taken over, twice.
    """
    await trial.install()
    for number in range(trial.rounds):
        trial.call(2)
        trial.call(1, goes_on=False)
        await trial.some_time(0.3, 3.0)
        await trial.kill()
        times = 1 + (0, 1, 0, 2)[number % 4]
        for _ in range(times - 1):
            await kill_while_it_starts(trial)
        await trial.site.start()
        await trial.some_time(0.5, 1.5)
        await trial.end_calls(allowed_ms=ALLOWED_MS * times)
    trial.expect(
        not trial.findings.worst_read_lost_ms,
        f"{trial.findings.worst_read_lost_ms} ms lost that were read",
    )
    trial.note(f"of what the server had read: {trial.findings.worst_read_lost_ms} ms")


async def kill_while_it_starts(trial: Trial) -> None:
    """A start that is killed while, or just before, it takes over what the dead process left."""
    starting = asyncio.create_task(trial.site.start())
    await trial.some_time(0.8, 3.0)
    if starting.done():
        await trial.kill()
    else:
        await trial.site.kill()
        await asyncio.wait([starting])
        starting.exception()  # a killed start fails, but it may have succeeded just before


async def terminate(trial: Trial) -> None:
    """A deployment under 20 live calls: the process goes within 10 s, the callers come back to the
    next one.
    """
    await trial.install()
    trial.call(20, voices=1)
    await trial.some_time(1.0, 3.0)
    await go(trial)
    await trial.site.start()
    await trial.some_time(1.0, 2.0)
    codes = sorted(
        {code for caller in trial.callers for code in caller.close_codes if code is not None}
    )
    trial.note(f"sockets closed with {', '.join(map(str, codes))}")
    await trial.end_calls(allowed_ms=ALLOWED_MS)


async def terminate_at_once(trial: Trial) -> None:
    """SIGTERM within a second of the handshakes, and again while it goes."""
    await trial.install()
    trial.call(5)
    await trial.some_time(0.02, 0.5)
    os.kill(trial.site.server.pid, signal.SIGTERM)
    await trial.some_time(0.0, 0.3)
    await go(trial)
    await trial.site.start()
    await trial.some_time(1.0, 2.0)
    await trial.end_calls(allowed_ms=ALLOWED_MS)


async def go(trial: Trial, server: Server | None = None) -> None:
    """SIGTERM, and how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await trial.site.terminate(server, seconds=30)
    seconds = loop.time() - began
    trial.note(f"gone after {seconds:.1f} s")
    trial.expect(seconds <= 10, f"gone only {seconds:.1f} s after SIGTERM")


FAULTS = (
    Fault("kill-9", "0 ms of what was read, 200 ms of what was sent a time", kill, rounds_long=50),
    Fault("sigterm", "200 ms of what was sent, gone in 10 s", terminate),
    Fault("sigterm-at-once", "200 ms of what was sent, gone in 10 s", terminate_at_once),
)
