"""Resources of a server: peak memory, threads and descriptors of its process and children."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psutil

LOOK_SECONDS = 0.1


def family(process: psutil.Process) -> list[psutil.Process]:
    """Returns the process and all its descendants. Raises `psutil.NoSuchProcess` if it has
    ended.
    """
    return [process, *process.children(recursive=True)]


def memory_bytes(process: psutil.Process) -> int:
    """Returns the resident memory of the family."""
    return _sum(process, lambda each: int(each.memory_info().rss))


def descriptors(process: psutil.Process) -> int:
    return _sum(process, psutil.Process.num_fds)


def threads(process: psutil.Process) -> int:
    return _sum(process, psutil.Process.num_threads)


class Peak:
    """An async context manager that measures the peak growth of a family's resident memory."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before = self._highest = memory_bytes(process)

    @property
    def grown_mb(self) -> float:
        return (self._highest - self._before) / 1_000_000

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            self._highest = max(self._highest, memory_bytes(self._process))
            await asyncio.sleep(LOOK_SECONDS)


def _sum(process: psutil.Process, figure: Callable[[psutil.Process], int]) -> int:
    total = 0
    for each in family(process):
        try:
            total += figure(each)
        except psutil.NoSuchProcess:
            if each == process:
                raise
            continue  # a child that has just ended uses nothing
    return total
