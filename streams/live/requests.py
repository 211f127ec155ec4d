"""Requests from other processes: start a tap on a call, repeat the state now, or end a call on the
board because ACS has reported its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from calls.listen import messages
from calls.live import channel

log = structlog.get_logger(__name__)

REJOIN_SECONDS = 1.0
TYPES = (channel.ASKED, channel.ENDS, messages.REQUEST)


async def serve_requests(accept: Callable[[dict[str, Any]], None]) -> None:
    """Passes requests to `accept` until cancelled; rejoins the channel layer after each error."""
    last_error = ""
    while True:
        try:
            async with channel.messages_of(channel.RECORDERS, *TYPES) as next_message:
                while True:
                    accept(await next_message())
        except channel.LAYER_ERRORS:
            pass  # logged when the recorder publishes its news
        except Exception as error:  # no failure of requests may affect recording
            if last_error != repr(error):  # once, not every second while there are calls
                log.error("listen requests unavailable", exc_info=error)
            last_error = repr(error)
        await asyncio.sleep(REJOIN_SECONDS)
