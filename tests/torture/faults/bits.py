"""One flipped bit, in a waiting journal or in stored audio: it is detected and reported, and costs
nothing else.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from calls import identity
from tests.torture.caller import Caller
from tests.torture.installation import Installation
from tests.torture.numbered import PACKET_MS
from tests.torture.recording import status_of
from tests.torture.trial import Fault, Trial

DAMAGE = "SELECT call_id, reason FROM calls_ledgerentry WHERE kind = 'damage'"


async def journal(trial: Trial) -> None:
    """Kills the process and flips a bit of its journals before the restart. Only the damaged record
    may be lost.
    """
    site = await trial.install()
    for number in range(trial.rounds):
        callers = trial.call(2, reconnects=False)
        await trial.some_time(1.5, 3.0)
        await site.until(lambda: long_journals(site), "a journal with enough audio")
        await trial.kill()
        await asyncio.gather(*(caller.over() for caller in callers))
        path = trial.random.choice(long_journals(site))
        flip(
            path,
            trial.random.randrange(path.stat().st_size // 2, path.stat().st_size) * 8 + number % 8,
        )
        await site.start()
        await trial.end_calls(allowed_ms=PACKET_MS + 200)
        found = site.database.query(site.database_url, DAMAGE)
        trial.expect(
            len(found) == number + 1,
            f"{len(found)} damages in the ledger after {number + 1} flipped bits",
        )


async def segment(trial: Trial) -> None:
    """Changes a stored object: its call must not be exported as if it were intact; others must."""
    site = await trial.install()
    callers = trial.call(2)
    await trial.some_time(2.0, 4.0)
    await trial.end_calls()
    damaged, whole = callers
    objects = sorted(site.audio.glob(f"{call_id(damaged)}/*/*.flac"))
    path = trial.random.choice(objects)
    flip(path, trial.random.randrange(path.stat().st_size // 4, path.stat().st_size) * 8)
    for caller, expected in ((damaged, 500), (whole, 200)):
        address = f"/api/v1/calls/{call_id(caller)}/audio"
        status = await asyncio.to_thread(status_of, site.server.port, address)
        trial.expect(
            status == expected,
            f"a call with {'a' if expected != 200 else 'no'} flipped bit answered {status}",
        )
    trial.expect("segment damaged" in site.server.log, "the damaged segment is not in the log")
    found = await asyncio.to_thread(site.misfits)
    trial.expect(len(found) == 1, f"{len(found)} segments are damaged by one bit")


def long_journals(site: Installation) -> list[Path]:
    return [path for path in site.journals() if path.exists() and path.stat().st_size > 10_000]


def call_id(caller: Caller) -> str:
    return str(identity.call_id_of(caller.connection_id, uuid4()))


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


FAULTS = (
    Fault("bit-in-journal", "one packet; detected, in the ledger", journal, rounds_long=20),
    Fault("bit-in-segment", "never exported silently, others intact", segment),
)
