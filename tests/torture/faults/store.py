"""The audio store refuses, hangs, aborts, or lies: no row before complete audio, journals wait, and
everything is caught up.

For files the storage class injects the fault (`stores`). S3 and Azure are real servers behind a
gateway (`gateway`), so that the product's own client libraries meet the fault.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from unittest import SkipTest

from django.core.files.base import ContentFile

from calls.storage import AudioStorage
from tests import machine
from tests.object_stores import S3, Azure, ObjectStore
from tests.torture import gateway, stores
from tests.torture.faults.process import ALLOWED_MS, go
from tests.torture.gateway import Gateway
from tests.torture.installation import Installation
from tests.torture.trial import Fault, Trial

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.torture.settings"}
CAUGHT_UP_SECONDS = 60.0
"""A hanging store may cost two attempts of 4 s for each of three files and a pause of 15 s; the
rest is for the backlog.
"""

Obey = Callable[[str], Awaitable[None]]


async def files(trial: Trial, *, order: str) -> None:
    site = await trial.install()

    async def obey(order: str) -> None:
        (site.data_dir / "store-orders").write_text(order)

    await disobedient(trial, obey, order, well="")


async def objects(trial: Trial, *, kind: type[ObjectStore], order: str) -> None:
    async with behind_a_gateway(trial, kind) as (_, way):
        await disobedient(trial, way.obey, order, well=gateway.PASS_ON)
        trial.note(
            f"{way.obeyed[order]} requests affected, {way.obeyed[gateway.PASS_ON]} forwarded"
        )
        trial.expect(way.obeyed[order] or order == gateway.REFUSE, "no request has met the fault")


async def disobedient(trial: Trial, obey: Obey, order: str, *, well: str) -> None:
    """The store follows an order for some seconds, repeatedly, and then works again."""
    slowest = 0.0
    trial.call(3)
    for _ in range(trial.rounds):
        await trial.some_time(1.0, 2.5)
        await obey(order)
        await trial.some_time(2.0, 8.0 if trial.long else 4.0)
        before = await expect_whole(trial)
        await obey(well)
        slowest = max(slowest, await sealing_again(trial.site, before))
    trial.note(f"sealed again {slowest:.1f} s after the store recovered")
    await trial.some_time(0.5, 1.5)
    await trial.end_calls(seconds=CAUGHT_UP_SECONDS)


async def terminate_while_it_hangs(trial: Trial, *, kind: type[ObjectStore]) -> None:
    """SIGTERM while a request to the store hangs: the process exits, and the next one
    catches up.
    """
    async with behind_a_gateway(trial, kind) as (site, way):
        trial.call(3)
        await trial.some_time(1.0, 2.0)
        await way.obey(gateway.HANG)
        await site.until(lambda: way.obeyed[gateway.HANG], "a hanging request")
        await go(trial)
        await way.obey(gateway.PASS_ON)
        await site.start()
        await trial.some_time(1.0, 2.0)
        await trial.end_calls(allowed_ms=ALLOWED_MS, seconds=CAUGHT_UP_SECONDS)


@asynccontextmanager
async def behind_a_gateway(
    trial: Trial, kind: type[ObjectStore]
) -> AsyncIterator[tuple[Installation, Gateway]]:
    """Yields an installation whose store is behind a gateway, and that gateway."""
    store = kind()
    try:
        await asyncio.to_thread(store.__enter__)
        opened = await asyncio.to_thread(store.opened)

        async def keep_half(path: str) -> None:
            await asyncio.to_thread(halve, opened, store.name_at(path))

        async with Gateway(store.port, keep_half) as way:
            try:
                yield await trial.install(store.environment(way.port), store=opened), way
            finally:
                await trial.close()  # while the store runs, so that pending requests end at once
    finally:
        store.__exit__(None, None, None)


def halve(store: AudioStorage, name: str) -> None:
    with store.open(name) as file:
        content = file.read()
    store.save(name, ContentFile(content[: len(content) // 2], name=name))


async def expect_whole(trial: Trial) -> int:
    """Checks that every row has its complete audio; returns the number of rows.

    Audio without a row is allowed: the row follows.
    """
    site = trial.site
    found = await asyncio.to_thread(site.misfits)
    trial.findings.broken += [
        sentence for sentence in found if not sentence.startswith("audio without")
    ]
    return site.segment_count()


async def sealing_again(site: Installation, before: int) -> float:
    """Waits for a new row; returns the seconds."""
    started = time.monotonic()
    await site.until(
        lambda: site.segment_count() > before,
        "a row after the store recovered",
        seconds=CAUGHT_UP_SECONDS,
    )
    return time.monotonic() - started


def azure_missing() -> str:
    try:
        machine.azurite()
    except SkipTest as reason:
        return str(reason)
    return ""


PROMISED = "0 ms, no row before its complete audio"
KINDS: tuple[tuple[type[ObjectStore], Callable[[], str]], ...] = ((S3, str), (Azure, azure_missing))


def of_files() -> Iterator[Fault]:
    for name, order in (
        ("store-refuses", stores.REFUSE),
        ("store-hangs", stores.HANG),
        ("store-breaks-off", stores.BREAK_OFF),
        ("store-keeps-half", stores.KEEP_HALF),
    ):
        yield Fault(
            name, PROMISED, partial(files, order=order), environment=SETTINGS, rounds_long=5
        )


def of_objects() -> Iterator[Fault]:
    for kind, missing in KINDS:
        for name, order in (
            ("refuses", gateway.REFUSE),
            ("hangs", gateway.HANG),
            ("breaks-off", gateway.BREAK_OFF),
            ("keeps-half", gateway.KEEP_HALF),
            ("throttles", gateway.BUSY),
        ):
            inject = partial(objects, kind=kind, order=order)
            yield Fault(f"{kind.name}-{name}", PROMISED, inject, rounds_long=5, missing=missing)
        inject = partial(terminate_while_it_hangs, kind=kind)
        promised = "200 ms of sent audio, exit in 10 s"
        yield Fault(f"sigterm-{kind.name}-hangs", promised, inject, missing=missing)


FAULTS = (*of_files(), *of_objects())
