"""Which core runs what, and what a process with all of its children has cost: read from /proc.

The server has the first core for itself, with whatever it starts; generator, harness, Postgres and
Redis share the others. Affinity is inherited at birth, so it is set before a process is started.
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
    """What is started inside runs on `cores`, and stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a set of processes: CPU since each began, and the memory that it has now."""

    cpu_seconds: float = 0.0
    resident_bytes: int = 0
    children_seconds: float = 0.0
    """Of the CPU, what is not of the processes themselves but of their descendants."""
    processes: int = 0


def cost_of(pids: Iterable[int]) -> Cost:
    """Of processes and all their descendants; those that have ended count by what their parent
    knows of them.
    """
    cpu, children, memory, count = 0.0, 0.0, 0, 0
    ours = set(pids)
    for process in _with_descendants(ours):
        try:
            with process.oneshot():
                times, resident = process.cpu_times(), process.memory_info().rss
        except psutil.NoSuchProcess:  # it has ended this moment
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
