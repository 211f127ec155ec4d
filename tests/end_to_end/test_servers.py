"""From the socket to the exported file: the same calls on both servers."""

from __future__ import annotations

import asyncio
import unittest

from django.test import tag

from tests import recorded_calls
from tests.end_to_end.installation import Rest, running
from tests.recorded_calls import Recording, record
from tests.servers import Server


def setUpModule() -> None:
    """Runs both servers concurrently: the calls take place in real time."""
    servers = [unittest.enterModuleContext(running(kind)) for kind in ("daphne", "uvicorn")]
    OnDaphne.recording, OnUvicorn.recording = asyncio.run(_record_all(servers))


async def _record_all(servers: list[tuple[Server, Rest]]) -> list[Recording]:
    return await asyncio.gather(*(record(server, rest) for server, rest in servers))


@tag("once")
class OnDaphne(recorded_calls.RecordedCalls):
    pass


@tag("once")
class OnUvicorn(recorded_calls.RecordedCalls):
    pass
