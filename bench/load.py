"""The harness's side of the generator: starts it, waits for its window, and reads its report."""

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
    """The results of the generator. Times are microseconds since the Unix epoch."""

    def __init__(self, plan: LoadPlan, report: dict[str, Any]) -> None:
        self.plan = plan
        self.window_us: tuple[int, int] = tuple(report["window_us"])
        self.window_packets: int = report["window_packets"]
        self.started_us: int = report["started_us"]
        self.bytes_sent: int = report["bytes_sent"]
        self.late = Histogram(report["late"])
        self.cpu_seconds: float = report["cpu_seconds"]
        self.broken: dict[str, str] = report["broken"]
        self.packets: dict[int, int] = {call["index"]: call["packets"] for call in report["calls"]}
        self.begun_us: dict[int, int] = {
            call["index"]: call["begun_us"] for call in report["calls"]
        }

    @property
    def calls(self) -> list[CallPlan]:
        return self.plan.calls

    @property
    def packets_sent(self) -> int:
        return sum(self.packets.values())

    def fraction_us(self, index: int) -> int:
        """Returns the part of a packet's due time below a millisecond, missing in its timestamp."""
        return self.begun_us[index] % 1000


class Load:
    """An async context manager: await `window_started`, `window_ended`, then `report`."""

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
        assert self._process.stdin, "it is a pipe"
        self._process.stdin.write(msgspec.json.encode(self._plan))
        self._process.stdin.close()
        return self

    async def __aexit__(self, *_how: object) -> None:
        assert self._process, "it was started"
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def window_started(self) -> None:
        await self._receive("window")

    async def window_ended(self) -> None:
        await self._receive("end")

    async def report(self) -> Report:
        return Report(self._plan, await self._receive("report"))

    async def _receive(self, event: str) -> dict[str, Any]:
        assert self._process, "it was started"
        assert self._process.stdout, "it is a pipe"
        line = await self._process.stdout.readline()
        assert line, "the generator exited too early; see its output above"
        message: dict[str, Any] = json.loads(line)
        assert message["event"] == event, f"the generator sent {message['event']}, not {event}"
        return message
