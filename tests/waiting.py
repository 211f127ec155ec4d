"""Polling for a condition that another thread, process or task fulfils, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02
LONG_PAUSE_SECONDS = 0.15
"""Between expensive checks, which take time from the process that is waited for."""


async def until(answer: Callable[[], Any], *, what: str = "") -> Any:
    """Calls `answer`, and awaits its result if necessary, until the result is true; returns it.

    Fails after `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        result = answer()
        result = await result if isawaitable(result) else result
        if result:
            return result
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what or answer}"
        await asyncio.sleep(PAUSE_SECONDS)


def wait_until(answer: Callable[[], T | None], *, what: Callable[[], str]) -> T:
    """Like `until`, without an event loop. `what` is called for the message of a failure."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := answer()):
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what()}"
        time.sleep(LONG_PAUSE_SECONDS)
    return found
