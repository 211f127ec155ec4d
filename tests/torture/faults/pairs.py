"""Two servers on one database, one spool and one store, as several processes share a volume: one
dies for good, or both are exchanged in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers import Server
from tests.torture.caller import Caller
from tests.torture.faults.process import ALLOWED_MS, go
from tests.torture.trial import Fault, Trial

CALLS = "SELECT COUNT(*) FROM calls_call"


async def survivor(trial: Trial) -> None:
    """kill -9 of one that is not started again: the other takes over what it left, and the calls
    that come back.
    """
    for _ in range(trial.rounds):
        site = await trial.install()
        dying, living = site.server, site.add_server()
        await site.start(living)
        trial.call(2, server=living)
        moving = trial.call(2, server=dying)
        trial.call(1, server=dying, goes_on=False)
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
        f"{trial.findings.worst_read_lost_ms} ms lost that were read",
    )
    trial.note(f"of what the dead server had read: {trial.findings.worst_read_lost_ms} ms")


async def rolling(trial: Trial) -> None:
    """One after the other goes and comes again; its callers move to the other meanwhile. Now and
    then one is killed.
    """
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
    """Where they connect to from now on, once their sockets break."""
    for caller in callers:
        caller.url = server.media_url


def expect_calls(trial: Trial, wanted: int) -> None:
    """As many as there were: none has become two. (Their states are compared one by one.)"""
    ((found,),) = trial.site.database.query(trial.site.database_url, CALLS)
    trial.expect(found == wanted, f"{found} calls in the database instead of {wanted}")


FAULTS = (
    Fault(
        "one-of-two-dies",
        "0 ms of what was read, 200 ms of what was sent",
        survivor,
        rounds_long=20,
    ),
    Fault(
        "rolling",
        "200 ms of what was sent for each exchange, gone in 10 s",
        rolling,
        rounds_long=10,
    ),
)
