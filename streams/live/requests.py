"""What other processes wish of one that records: to hear a call (`ears.py`), or to be told at once
what it repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from calls.live import channel

log = structlog.get_logger(__name__)

REJOIN_SECONDS = 1.0


async def serve_requests(take: Callable[[dict[str, Any]], None]) -> None:
    """Until it is cancelled; joins the channel layer again by itself."""
    said = ""
    while True:
        try:
            async with channel.messages_of(channel.RECORDERS) as next_message:
                while True:
                    take(await next_message())
        except channel.LAYER_ERRORS:
            pass  # said by the recorder's own news
        except Exception as error:  # whatever befalls wishes must not touch recording
            if said != repr(error):  # once, not once a second for as long as there are calls
                log.error("wishes are not heard", exc_info=error)
            said = repr(error)
        await asyncio.sleep(REJOIN_SECONDS)
