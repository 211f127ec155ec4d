"""Waiting for what another thread, process or task does: asked again and again, never longer than a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02


async def until(answer: Callable[[], Any], *, what: str = "") -> Any:
    """The first answer, awaited where it has to be, that is true; fails if there is none in `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        given = answer()
        found = await given if isawaitable(given) else given
        if found:
            return found
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what or answer}"
        await asyncio.sleep(PAUSE_SECONDS)


def wait_until(answer: Callable[[], T], *, what: str = "", seconds: float = PATIENCE_SECONDS) -> T:
    """The same where there is no event loop."""
    deadline = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what or answer}"
        time.sleep(PAUSE_SECONDS)
    return found
