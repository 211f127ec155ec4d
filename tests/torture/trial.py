"""One trial of one fault: an installation, calls, the injected fault, and the findings."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from calls.storage import AudioStorage
from tests.servers import Server
from tests.torture.caller import Caller
from tests.torture.databases import Database
from tests.torture.installation import Installation
from tests.torture.recording import NoAnswer
from tests.torture.verdict import Findings, judge

BOTH = ("sqlite", "postgres")
SHORT_SECONDS, LONG_SECONDS = 5 * 60.0, 60 * 60.0
"""A row that takes longer is cancelled, with a finding. The longest takes one minute, or 15 in the
long form. After twice this time a signal interrupts it, because it does not even reach an `await`.
"""

UNREAD_MS = 60
"""Audio in the buffers of the kernel that does not delay a kill."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `inject` causes and ends it; `promised` is the promise in the table."""

    name: str
    promised: str
    inject: Callable[[Trial], Awaitable[None]]
    databases: tuple[str, ...] = BOTH
    environment: Mapping[str, str] = field(default_factory=dict)
    rounds_long: int = 1
    long_only: bool = False
    missing: Callable[[], str] = str
    """Returns why this machine cannot try it; "" if it can."""


class Stuck(TimeoutError):
    """Raised by `alarm` in the main thread, at any point."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Interrupts a block even if it does not return to the event loop. Raises `Stuck`."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Stuck

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Trial:
    """The tools of a fault. `expect` and `end_calls` collect broken promises."""

    def __init__(
        self, kind: str, database: Database, random: Random, *, rounds: int, long: bool
    ) -> None:
        self.kind = kind
        self.database = database
        self.random = random
        self.rounds = rounds
        self.long = long
        self.limit_seconds = LONG_SECONDS if long else SHORT_SECONDS
        self.findings = Findings()
        self.figures: list[str] = []
        self._fault: Fault
        self._installation: Installation | None = None
        self.callers: list[Caller] = []

    @property
    def site(self) -> Installation:
        assert self._installation, "`install` is called first"
        return self._installation

    async def run(self, fault: Fault) -> None:
        """Injects the fault. Every exception is a finding."""
        self._fault = fault
        limit = self.limit_seconds
        try:
            async with asyncio.timeout(limit) as deadline:
                with alarm(2 * limit):
                    await fault.inject(self)
        except TimeoutError as error:
            hangs = deadline.expired() or isinstance(error, Stuck)
            self.findings.broken.append(
                f"not finished after {limit:.0f} s" if hangs else f"TimeoutError: {error}"
            )
        except Exception as error:  # noqa: BLE001 - a fault that fails must not hide the others
            self.findings.broken.append(f"{type(error).__name__}: {error}")
        finally:
            await self.close()

    def prepare(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        data_dir: Path | None = None,
        route: Callable[[str], str] = str,
        store: AudioStorage | None = None,
    ) -> Installation:
        """Creates the installation of this trial without starting it."""
        self._installation = Installation(
            self.kind,
            self.database,
            environment={**self._fault.environment, **(environment or {})},
            data_dir=data_dir,
            route=route,
            store=store,
        )
        return self._installation

    async def install(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        data_dir: Path | None = None,
        route: Callable[[str], str] = str,
        store: AudioStorage | None = None,
    ) -> Installation:
        """Creates and starts the installation of this trial."""
        site = self.prepare(environment, data_dir=data_dir, route=route, store=store)
        await site.start()
        return site

    async def close(self) -> None:
        """Stops callers and servers. Idempotent."""
        for caller in self.callers:
            await caller.drop()
        self.callers = []
        site, self._installation = self._installation, None
        if site:
            self.findings.broken += await site.stop()
            if self.findings.broken:
                self.note(f"log of the server: {site.keep_log(self._fault.name)}")
            site.remove()

    def call(
        self,
        number: int = 1,
        *,
        voices: int = 2,
        reconnects: bool = True,
        server: Server | None = None,
    ) -> list[Caller]:
        """Starts `number` calls on one server."""
        url = (server or self.site.server).media_url
        callers = [
            Caller(url, self.random.getrandbits(40), voices=voices, reconnects=reconnects)
            for _ in range(number)
        ]
        self.callers += callers
        return [caller.start() for caller in callers]

    async def some_time(self, least: float, most: float) -> float:
        """Lets calls continue for a random number of seconds; returns it."""
        seconds = self.random.uniform(least, most)
        await asyncio.sleep(seconds)
        return seconds

    async def kill(self, server: Server | None = None) -> None:
        """Sends SIGKILL, after recording how much the server has read.

        It waits until the server has read all but the last `UNREAD_MS`: where the machine leaves a
        process no time, callers send several packets at once, which nobody could have read.
        """
        server = server or self.site.server
        callers = [caller for caller in self.callers if caller.url == server.media_url]
        before = max((caller.unread_ms() for caller in callers), default=0)
        if before > UNREAD_MS:
            self.note(f"not read before a kill: {before} ms")
        await self.site.until(
            lambda: all(caller.unread_ms() <= UNREAD_MS for caller in callers),
            "the server has read what was sent",
        )
        self.site.freeze(server)
        for caller in callers:
            caller.note_read_bytes()
        # not in a thread, because packets sent to a stopped process count as lost
        server.kill()

    async def end_calls(
        self, *, allowed_ms: int = 0, seconds: float = 60.0, tidy: bool = True
    ) -> None:
        """Ends all calls, waits until everything is sealed, exports each call and compares it."""
        callers, self.callers = self.callers, []
        await asyncio.gather(*(caller.end() for caller in callers))
        await self.site.sealed(seconds=seconds)
        for caller in callers:
            await self.compare(caller, allowed_ms=allowed_ms)
        if tidy:
            self.findings.broken += await self.site.faults()

    async def compare(
        self, caller: Caller, *, allowed_ms: int = 0, excused: Iterable[int] = ()
    ) -> None:
        try:
            recording = await self.site.recording(caller.connection_id)
        except NoAnswer as error:
            if caller.packets_sent * 20 > allowed_ms:
                self.findings.broken.append(f"no recording: {error}")
            return
        self.findings.add(judge(caller, recording, allowed_ms=allowed_ms, excused=excused))
        state = "interrupted" if caller.gave_up else "ended"
        self.expect(recording.state == state, f"a call is {recording.state} instead of {state}")

    def expect(self, holds: Any, otherwise: str) -> None:
        """Adds the finding `otherwise` if `holds` is false."""
        if not holds:
            self.findings.broken.append(otherwise)

    def note(self, figure: str) -> None:
        """Adds a measured value to the remarks under the row."""
        self.figures.append(figure)
