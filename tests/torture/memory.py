"""What a process takes: memory at its highest, threads, descriptors."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import psutil

LOOK_SECONDS = 0.1


class Peak:
    """`async with` it: how far the resident memory of a process has grown at its highest."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before = self._highest = self._now()

    @property
    def grown_mb(self) -> float:
        return (self._highest - self._before) / 1_000_000

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            self._highest = max(self._highest, self._now())
            await asyncio.sleep(LOOK_SECONDS)

    def _now(self) -> int:
        return int(self._process.memory_info().rss)
