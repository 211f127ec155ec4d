"""Assignment of processes to cores, and the cost of processes with all their children, from /proc.

The server and its children have the first core for themselves; generator, harness, Postgres and
Redis share the others. Children inherit the affinity, so it is set before a process is started.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

ALL = sorted(os.sched_getaffinity(0))
SERVER = {ALL[0]}
OTHERS = set(ALL[1:]) or {ALL[0]}


@contextmanager
def pinned(cores: Iterable[int]) -> Iterator[None]:
    """Processes started inside run on `cores` permanently."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a set of processes: CPU since the start of each, and current memory."""

    cpu_seconds: float = 0.0
    resident_bytes: int = 0
    children_seconds: float = 0.0
    """The part of the CPU used by descendants of the processes."""
    processes: int = 0


def cost_of(pids: Iterable[int]) -> Cost:
    """Returns the cost of processes and all descendants; ended ones count through their parent."""
    cpu, children, memory, count = 0.0, 0.0, 0, 0
    ours = set(pids)
    for process in _with_descendants(ours):
        try:
            with process.oneshot():
                times, resident = process.cpu_times(), process.memory_info().rss
        except psutil.NoSuchProcess:  # it has just ended
            continue
        own, ended = times.user + times.system, times.children_user + times.children_system
        cpu += own + ended
        children += ended if process.pid in ours else own + ended
        memory += resident
        count += 1
    return Cost(cpu, memory, children, count)


def _with_descendants(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        try:
            process = psutil.Process(pid)
            yield from [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
