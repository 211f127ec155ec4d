"""Two servers that share a database, a spool and a store: one dies for good, or both are replaced
in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers import Server
from tests.torture.caller import Caller
from tests.torture.faults.process import ALLOWED_MS, go
from tests.torture.trial import Fault, Trial

CALLS = "SELECT COUNT(*) FROM calls_call"


async def survivor(trial: Trial) -> None:
    """Kills one server for good: the other takes over its journals and its reconnecting calls."""
    for _ in range(trial.rounds):
        site = await trial.install()
        dying, living = site.server, site.add_server()
        await site.start(living)
        trial.call(2, server=living)
        moving = trial.call(2, server=dying)
        trial.call(1, server=dying, reconnects=False)
        await trial.some_time(1.0, 4.0)
        site.server = living
        move(moving, living)
        await trial.kill(dying)
        await trial.some_time(0.0, 2.0)
        trial.call(1)
        await trial.some_time(1.0, 6.0)
        await trial.end_calls(allowed_ms=ALLOWED_MS)
        expect_calls(trial, 6)
        await trial.close()
    trial.expect(
        not trial.findings.worst_read_lost_ms,
        f"{trial.findings.worst_read_lost_ms} ms lost that had been read",
    )
    trial.note(f"lost of what the dead server had read: {trial.findings.worst_read_lost_ms} ms")


async def rolling(trial: Trial) -> None:
    """Restarts the servers in turn, sometimes with SIGKILL; callers move to the other meanwhile."""
    site = await trial.install()
    one, other = site.server, site.add_server()
    await site.start(other)
    trial.call(4, server=one)
    trial.call(4, server=other)
    for number in range(2 * trial.rounds):
        going, site.server = (other, one) if number % 2 else (one, other)
        await trial.some_time(0.5, 3.0)
        move(trial.callers, site.server)
        if trial.random.random() < 0.5:
            await trial.kill(going)
        else:
            await go(trial, going)
        await trial.some_time(0.0, 2.0)
        await site.start(going)
    await trial.some_time(0.5, 1.5)
    await trial.end_calls(allowed_ms=ALLOWED_MS * trial.rounds * 2)
    expect_calls(trial, 8)


def move(callers: Sequence[Caller], server: Server) -> None:
    """Sets the server that callers connect to after their sockets break."""
    for caller in callers:
        caller.url = server.media_url


def expect_calls(trial: Trial, expected: int) -> None:
    """Checks the number of calls: none was split. (`compare` checks their states.)"""
    ((found,),) = trial.site.database.query(trial.site.database_url, CALLS)
    trial.expect(found == expected, f"{found} calls in the database instead of {expected}")


FAULTS = (
    Fault(
        "one-of-two-dies",
        "0 ms of read audio, 200 ms of sent audio",
        survivor,
        rounds_long=20,
    ),
    Fault(
        "rolling",
        "200 ms of sent audio per restart, exit in 10 s",
        rolling,
        rounds_long=10,
    ),
)
