"""Waiting for what another thread, process or task does: asked again and again, never longer than a
deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02
LONG_PAUSE_SECONDS = (
    0.15  # where each look costs another process time that it needs for what is waited for
)


async def until(answer: Callable[[], Any], *, what: str = "") -> Any:
    """The first answer, awaited where it has to be, that is true; fails if there is none in
    `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        given = answer()
        found = await given if isawaitable(given) else given
        if found:
            return found
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what or answer}"
        await asyncio.sleep(PAUSE_SECONDS)


def wait_until(answer: Callable[[], T | None], *, what: Callable[[], str]) -> T:
    """The same where there is no event loop; `what` says at the end of the patience what was waited
    for.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := answer()):
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS:.0f} s: {what()}"
        time.sleep(LONG_PAUSE_SECONDS)
    return found
