"""The server process is killed or terminated."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.servers import Server
from tests.torture.trial import Fault, Trial

ALLOWED_MS = 200
"""Loss allowed at each SIGKILL: packets still in the buffers of the kernel and the server."""


async def kill(trial: Trial) -> None:
    """Kills one installation repeatedly: during audio, and twice during recovery."""
    await trial.install()
    for number in range(trial.rounds):
        trial.call(2)
        trial.call(1, reconnects=False)
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
        f"{trial.findings.worst_read_lost_ms} ms lost that had been read",
    )
    trial.note(f"lost of what the server had read: {trial.findings.worst_read_lost_ms} ms")


async def kill_while_it_starts(trial: Trial) -> None:
    """Kills a starting server just before or during recovery of the journals."""
    starting = asyncio.create_task(trial.site.start())
    await trial.some_time(0.8, 3.0)
    if starting.done():
        await trial.kill()
    else:
        await trial.site.kill()
        await asyncio.wait([starting])
        starting.exception()  # a killed start fails, unless it had just succeeded


async def terminate(trial: Trial) -> None:
    """A deployment during 20 live calls: the process exits within 10 s, the callers reconnect."""
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
    """SIGTERM within a second of the handshakes, and again during the shutdown."""
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
    """Sends SIGTERM and notes how long the exit takes."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await trial.site.terminate(server, seconds=30)
    seconds = loop.time() - started
    trial.note(f"exit after {seconds:.1f} s")
    trial.expect(seconds <= 10, f"exit {seconds:.1f} s after SIGTERM")


FAULTS = (
    Fault("kill-9", "0 ms of read, 200 ms of sent audio each time", kill, rounds_long=50),
    Fault("sigterm", "200 ms of sent audio, exit in 10 s", terminate),
    Fault("sigterm-at-once", "200 ms of sent audio, exit in 10 s", terminate_at_once),
)
