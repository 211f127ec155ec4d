"""One fault, once: an installation, calls, what was injected, and what came of it."""

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
"""A row that takes longer hangs: it is ended, with a finding. The longest takes a minute, or a
quarter of an hour.

After twice as long it is not even at an `await`: an alarm interrupts what it is at.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """`inject` does it and heals it; `promised` is the promise in the words of the table."""

    name: str
    promised: str
    inject: Callable[[Trial], Awaitable[None]]
    databases: tuple[str, ...] = BOTH
    environment: Mapping[str, str] = field(default_factory=dict)
    rounds_long: int = 1
    long_only: bool = False
    missing: Callable[[], str] = str
    """Why this machine cannot try it; "" when it can."""


class Stuck(TimeoutError):
    """Raised by `alarm` wherever the main thread is."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Interrupts a block that does not come back to the event loop either. Raises `Stuck`."""

    def interrupt(number: int, at: FrameType | None) -> None:
        raise Stuck

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Trial:
    """What a fault works with. `expect` and `end_calls` collect what is broken."""

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
        assert self._installation, "`install` comes first"
        return self._installation

    async def run(self, fault: Fault) -> None:
        """Injects the fault; whatever goes wrong on the way is a finding."""
        self._fault = fault
        limit = self.limit_seconds
        try:
            async with asyncio.timeout(limit) as deadline:
                with alarm(2 * limit):
                    await fault.inject(self)
        except TimeoutError as error:
            hangs = deadline.expired() or isinstance(error, Stuck)
            self.findings.broken.append(
                f"not over after {limit:.0f} s" if hangs else f"TimeoutError: {error}"
            )
        except Exception as error:  # noqa: BLE001 - one fault that cannot be tried must not hide the others
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
        """An installation of its own for this trial, not started yet."""
        wanted = {**self._fault.environment, **(environment or {})}
        made = Installation(
            self.kind,
            self.database,
            environment=wanted,
            data_dir=data_dir,
            route=route,
            store=store,
        )
        self._installation = made
        return made

    async def install(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        data_dir: Path | None = None,
        route: Callable[[str], str] = str,
        store: AudioStorage | None = None,
    ) -> Installation:
        """The same, started."""
        made = self.prepare(environment, data_dir=data_dir, route=route, store=store)
        await made.start()
        return made

    async def close(self) -> None:
        """Ends what still runs; again, nothing."""
        for caller in self.callers:
            await caller.drop()
        self.callers = []
        made, self._installation = self._installation, None
        if made:
            self.findings.broken += await made.stop()
            if self.findings.broken:
                self.note(f"log of the server: {made.keep_log(self._fault.name)}")
            made.remove()

    def call(
        self,
        number: int = 1,
        *,
        voices: int = 2,
        goes_on: bool = True,
        server: Server | None = None,
    ) -> list[Caller]:
        """Begins `number` calls, on one server."""
        url = (server or self.site.server).media_url
        made = [
            Caller(url, self.random.getrandbits(40), voices=voices, goes_on=goes_on)
            for _ in range(number)
        ]
        self.callers += made
        return [caller.begin() for caller in made]

    async def some_time(self, least: float, most: float) -> float:
        """A random moment: lets calls go on for so many seconds."""
        seconds = self.random.uniform(least, most)
        await asyncio.sleep(seconds)
        return seconds

    async def kill(self, server: Server | None = None) -> None:
        """kill -9, with a note of what the server had read by then."""
        server = server or self.site.server
        self.site.freeze(server)
        for caller in self.callers:
            if caller.url == server.media_url:
                caller.note_what_was_read()
        await asyncio.to_thread(
            server.kill
        )  # at once: what is sent to a process that stands still counts as lost

    async def end_calls(
        self, *, allowed_ms: int = 0, seconds: float = 60.0, tidy: bool = True
    ) -> None:
        """Hangs up, waits until all is sealed, pulls every call and compares."""
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
        wanted = "interrupted" if caller.gave_up else "ended"
        self.expect(recording.state == wanted, f"a call is {recording.state} instead of {wanted}")

    def expect(self, holds: Any, what: str) -> None:
        """`what`: the finding when it does not hold."""
        if not holds:
            self.findings.broken.append(what)

    def note(self, figure: str) -> None:
        """Something measured, for the remarks under the table."""
        self.figures.append(figure)
