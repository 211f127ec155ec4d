"""The harness's end of the generator: starts it, hears when the window begins and ends, reads its
report.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any, Self

import msgspec

from bench import cores
from bench.histogram import Histogram
from bench.plan import CallPlan, LoadPlan
from tests.servers import ROOT

LINE_BYTES = 64 * 1024 * 1024


class Report:
    """What the generator did. Times are microseconds since the Unix epoch."""

    def __init__(self, plan: LoadPlan, said: dict[str, Any]) -> None:
        self.plan = plan
        self.window_us: tuple[int, int] = tuple(said["window_us"])
        self.window_packets: int = said["window_packets"]
        self.started_us: int = said["started_us"]
        self.bytes_sent: int = said["bytes_sent"]
        self.late = Histogram(said["late"])
        self.cpu_seconds: float = said["cpu_seconds"]
        self.broken: dict[str, str] = said["broken"]
        self.packets: dict[int, int] = {call["index"]: call["packets"] for call in said["calls"]}
        self.begun_us: dict[int, int] = {call["index"]: call["begun_us"] for call in said["calls"]}

    @property
    def calls(self) -> list[CallPlan]:
        return self.plan.calls

    @property
    def packets_sent(self) -> int:
        return sum(self.packets.values())

    def fraction_us(self, index: int) -> int:
        """What the call's timestamps, in whole milliseconds, leave out of the moments at which
        packets were due.
        """
        return self.begun_us[index] % 1000


class Load:
    """`async with` it: `window_began`, `window_ended`, then `report`."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        with cores.pinned(cores.OTHERS):
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.generator"),
                cwd=ROOT,
                stdin=PIPE,
                stdout=PIPE,
                limit=LINE_BYTES,
            )
        assert self._process.stdin, "it was asked for"
        self._process.stdin.write(msgspec.json.encode(self._plan))
        self._process.stdin.close()
        return self

    async def __aexit__(self, *_how: object) -> None:
        assert self._process, "it was started"
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def window_began(self) -> None:
        await self._hear("window")

    async def window_ended(self) -> None:
        await self._hear("end")

    async def report(self) -> Report:
        return Report(self._plan, await self._hear("report"))

    async def _hear(self, event: str) -> dict[str, Any]:
        assert self._process, "it was started"
        assert self._process.stdout, "it was asked for"
        line = await self._process.stdout.readline()
        assert line, "the generator ended before its time; what it said is above"
        said: dict[str, Any] = json.loads(line)
        assert said["event"] == event, f"the generator says {event} now"
        return said
