"""Backpressure for the responses of Daphne: a slow client gets a file at its own pace.

Daphne 4.2.3 hands each chunk to Twisted and returns at once, so an export is computed as fast as
the processor can and waits in memory: 5 GB after 36 s of a client that read 50 kB/s. Twisted tells
a producer when its buffer is full; here a chunk counts as sent only when there is room again.
uvicorn does this by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from daphne.http_protocol import WebRequest
from daphne.server import Server
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

log = structlog.get_logger(__name__)

SEND_SECONDS = 1800.0
"""A client that takes nothing of a response for so long is disconnected. Not sooner: a paused
player takes nothing either. nginx waits as long (deploy/nginx/locations.conf).
"""

_handle_reply = Server.handle_reply


@implementer(IPushProducer)
class Outlet:
    """The producer of one response: Twisted pauses it while its buffer is full."""

    def __init__(self) -> None:
        self.has_room = asyncio.Event()
        self.has_room.set()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's names
        self.has_room.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.has_room.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone: nobody may wait for it."""
        self.has_room.set()


def limit_output() -> None:
    """Patches Daphne. Must be called once, before it serves."""

    async def handle_reply(server: Server, protocol: Any, message: dict[str, Any]) -> None:
        if message["type"] != "http.response.body" or not isinstance(protocol, WebRequest):
            await _handle_reply(server, protocol, message)
            return
        has_more = message.get("more_body", False)
        outlet = _outlet_of(protocol) if has_more else None
        if not has_more and protocol.producer and protocol.channel is not None:
            protocol.unregisterProducer()  # before the response is finished
        await _handle_reply(server, protocol, message)
        if outlet:
            await _wait(protocol, outlet)

    Server.handle_reply = handle_reply


def _outlet_of(request: WebRequest) -> Outlet | None:
    """Returns the outlet of the response, registered with its first chunk; None if the client is
    gone.
    """
    if request.finished or request.channel is None:
        return None
    if not request.producer:
        request.registerProducer(Outlet(), True)  # noqa: FBT003 - Twisted's order
    outlet: Outlet = request.producer
    return outlet


async def _wait(request: WebRequest, outlet: Outlet) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await outlet.has_room.wait()
    except TimeoutError:
        log.info("slow client disconnected")
        if request.channel is not None:
            request.channel.transport.abortConnection()
