"""Events of Event Grid about a call, as ACS sends them: CallStarted and CallEnded. EDGE."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import uuid4

from calls.times import from_microseconds
from streams.simulator.plan import Plan, PlannedCall

ANSWER_SECONDS = 10.0
TOPIC = "/subscriptions/simulated/providers/microsoft.communication/communicationservices/simulated"


class Reporter:
    """Sends the events of one call to `plan.events_address`; without one it does nothing.

    `problem` is the first answer other than 200, in words. Events are sent beside the audio and
    never delay it.
    """

    def __init__(self, plan: Plan, call: PlannedCall) -> None:
        self._address, self._call = plan.events_address, call
        self._server_call_id = f"server-{call.correlation_id}"
        self._started_at: float | None = None
        self._sending: list[asyncio.Task[None]] = []
        self.problem = ""

    def started(self) -> None:
        """Reports the beginning of the call, once."""
        if self._started_at is None:
            self._started_at = time.time()
            self._send("CallStarted", self._started_at, {"startedBy": {}, "isTwoParty": True})

    async def ended(self) -> None:
        """Reports the end of a call that has begun; returns when all its events are answered."""
        if self._started_at is not None:
            now = time.time()
            seconds = {"durationOfCall": round(now - self._started_at, 3), "endedBy": {}}
            self._send("CallEnded", now, seconds)
        await asyncio.gather(*self._sending)

    def _send(self, name: str, at: float, data: dict[str, object]) -> None:
        if not self._address:
            return
        event = {
            "id": str(uuid4()),
            "topic": TOPIC,
            "subject": f"call/{self._server_call_id}",
            "eventType": f"Microsoft.Communication.{name}",
            "eventTime": from_microseconds(int(at * 1e6)).isoformat(),
            "dataVersion": "1.0",
            "metadataVersion": "1",
            "data": {
                "serverCallId": self._server_call_id,
                "correlationId": self._call.correlation_id,
                **data,
            },
        }
        self._sending.append(asyncio.create_task(self._post(event)))

    async def _post(self, event: Mapping[str, object]) -> None:
        try:
            status = await asyncio.to_thread(post, self._address, json.dumps([event]))
        except (OSError, http.client.HTTPException) as error:
            self.problem = self.problem or f"no event sent: {error}"
        else:
            if status != http.client.OK:
                self.problem = self.problem or f"an event was refused with HTTP {status}"


def post(address: str, body: str) -> int:
    """Sends JSON to a URL, without a proxy; returns the status. Raises `OSError` and
    `HTTPException`.
    """
    parts = urlsplit(address)
    is_secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()
