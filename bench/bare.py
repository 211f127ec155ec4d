"""An ASGI application that decodes and discards every message: the cost of a row without recording.

`GET /figures` returns the number of decoded messages and their lateness.
"""

from __future__ import annotations

import json
import time
from typing import Any

from bench.histogram import Histogram
from streams.acs import messages
from streams.ingest.packets import AudioData

lag = Histogram()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await listen(receive, send)
    elif scope["type"] == "http":
        await answer(send)


async def listen(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        decoded = messages.decode(message.get("text") or message["bytes"])
        if type(decoded) is AudioData and decoded.timestamp_us is not None:
            lag.add(time.time_ns() // 1000 - decoded.timestamp_us)


async def answer(send: Any) -> None:
    body = json.dumps({"packets": lag.total, "lag": lag.trimmed()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
