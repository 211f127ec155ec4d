"""Effects of networks and clocks on packets: the laws of the timeline, over the real socket
(docs/timeline.md).
"""

from __future__ import annotations

from functools import partial

from tests.torture.faults.bits import call_id
from tests.torture.numbered import PACKET_MS
from tests.torture.recital import Recital, Stamps
from tests.torture.trial import Fault, Trial

MINUTE, HOUR = 60 * 50, 3600 * 50
"""Numbers of packets."""
JUMPS = "SELECT call_id, reason FROM calls_ledgerentry WHERE kind = 'clock_jump'"


async def recite(trial: Trial, stamps: Stamps, *, packets: tuple[int, int], jumps: int = 0) -> None:
    """Plays one call with these timestamps; `packets` are for the short and the long form."""
    site = await trial.install({"SEGMENT_SECONDS": "10"})
    recital = Recital(
        site.server.media_url, trial.random.getrandbits(40), packets[trial.long], stamps
    )
    trial.callers.append(recital)
    recital.start()
    await recital.over()
    await trial.end_calls(seconds=120)
    found = [
        row
        for row in site.database.query(site.database_url, JUMPS)
        if str(row[0]).replace("-", "") == bare(recital)
    ]
    trial.expect(len(found) == jumps, f"{len(found)} clock jumps in the ledger instead of {jumps}")


def bare(recital: Recital) -> str:
    return call_id(recital).replace("-", "")


def jump(number: int, *, at: int, by_ms: int) -> int:
    """Returns a timestamp of a clock that steps at one packet."""
    return number * PACKET_MS + (by_ms if number >= at else 0)


def stall(number: int, *, at: int, ms: int) -> int:
    """Returns a timestamp of a stall: packets are delayed, then arrive in a burst with the
    timestamps of their arrival, ten per millisecond.
    """
    held_until = at * PACKET_MS + ms
    spoken = number * PACKET_MS
    return spoken if spoken < at * PACKET_MS or spoken >= held_until else held_until


def lose_every(number: int, *, nth: int) -> int | None:
    return None if number % nth == nth - 1 else number * PACKET_MS


def recital(
    name: str, promised: str, stamps: Stamps, packets: tuple[int, int], jumps: int = 0
) -> Fault:
    return Fault(name, promised, partial(recite, stamps=stamps, packets=packets, jumps=jumps))


CONTIGUOUS = "0 ms, contiguous and bit-exact"
SHORT, LONG = (500, MINUTE * 5), (2 * MINUTE, HOUR)
FAULTS = (
    recital(
        "clock-back",
        "0 ms, no cut, in the ledger",
        partial(jump, at=200, by_ms=-3_600_000),
        SHORT,
        1,
    ),
    recital(
        "clock-ahead",
        "0 ms, no cut, in the ledger",
        partial(jump, at=200, by_ms=7_200_000),
        SHORT,
        1,
    ),
    recital("stall-1.9s", CONTIGUOUS, partial(stall, at=100, ms=1_900), SHORT),
    recital("stall-3s", CONTIGUOUS, partial(stall, at=100, ms=3_000), SHORT),
    recital("stall-30s", CONTIGUOUS, partial(stall, at=100, ms=30_000), (2_500, MINUTE * 5)),
    recital(
        "loses-every-17th", "never more than 60 ms out of place", partial(lose_every, nth=17), LONG
    ),
)
