"""The part of ACS in the day: media sockets through the public address, and events of calls."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.end_to_end.day.plan import INTERRUPTED, NEVER, NOT_STREAMED, Kind, PlannedCall
from tests.streams import tokens

PACKET_SECONDS = 0.02
RATE = 16_000
PREFIX = "Microsoft.Communication."
CALLER, AGENT = "4:+15550100142", "8:acs:3d20e1de-0f28-41c5_0000000b-faeb"
VOICES = (CALLER, AGENT)
LATE_SECONDS = 0.4
"""From the event CallConnected to the first packet: ACS opens the socket after the answer."""


@dataclass
class Outcome:
    """What ACS did, by its own clock (seconds since the epoch)."""

    call: PlannedCall
    connected_at: float = 0.0
    disconnected_at: float = 0.0
    missing: list[tuple[float, float, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def missing_seconds(self) -> float:
        return sum(end - begin for begin, end, _ in self.missing)


def stamp(moment: float) -> str:
    """Returns a time as ACS writes it in events: seven digits and `+00:00`."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}0+00:00"


class Caller:
    """Plays one call. `url`: the media socket; `post`: sends events."""

    def __init__(self, url: str, trust: ssl.SSLContext, post: Poster, call: PlannedCall) -> None:
        self._url, self._trust, self._post = url, trust, post
        self.call = call
        self.outcome = Outcome(call)
        self._rng = random.Random(call.number)
        self._sequence = 0
        self._sending: list[asyncio.Task[None]] = []  # events never delay audio

    async def play(self, origin: float) -> Outcome:
        """Plays it from its beginning, counted from `origin` (the event loop's clock)."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, origin + self.call.begin - loop.time()))
        self.outcome.connected_at = time.time()
        self._event("CallConnected", self.outcome.connected_at)
        if self.call.kind in (Kind.NEVER_STREAMED, Kind.REFUSED):
            await self._fail()
        elif self.call.streams:
            await self._stream()
        end = self.outcome.connected_at + self.call.seconds
        await asyncio.sleep(max(0.0, end - time.time()))
        self.outcome.disconnected_at = time.time()
        self._close_books()
        self._event("CallDisconnected", self.outcome.disconnected_at)
        if self.call.shuffles:
            await self.send(self._rng.sample(self.outcome.events, len(self.outcome.events)))
        await asyncio.gather(*self._sending)
        return self.outcome

    async def send(self, events: Sequence[dict[str, Any]]) -> None:
        """Sends events, each in a request of its own, and those of some calls twice."""
        for event in events:
            for _ in range(1 + self.call.repeats):
                await self._post(event)

    def _event(self, name: str, at: float, **data: Any) -> None:
        """Notes an event, and sends it unless it comes later, or never."""
        self._sequence += 1
        event = {
            "specversion": "1.0",
            "id": f"{self.call.connection_id}-{self._sequence}",
            "source": f"calling/callConnections/{self.call.connection_id}",
            "type": PREFIX + name,
            "time": stamp(at),
            "datacontenttype": "application/json",
            "data": {
                "callConnectionId": self.call.connection_id,
                "serverCallId": f"server-{self.call.connection_id}",
                "correlationId": f"correlation-{self.call.connection_id}",
                **data,
            },
        }
        if self.call.kind in (Kind.UNREPORTED, Kind.CDR_ONLY):
            return
        self.outcome.events.append(event)
        if not self.call.shuffles and self.call.kind is not Kind.LATE_EVENTS:
            self._sending.append(asyncio.create_task(self.send([event])))

    def _streaming(self, name: str, details: str, **data: Any) -> None:
        status = name[0].lower() + name[1:]
        update = {
            "contentType": "Audio",
            "mediaStreamingStatus": status,
            "mediaStreamingStatusDetails": details,
        }
        self._event(name, time.time(), mediaStreamingUpdate=update, **data)

    async def _fail(self) -> None:
        """No socket comes, or a refused one."""
        if self.call.kind is Kind.REFUSED:
            try:
                await self._open(audience="00000000-0000-0000-0000-000000000000")
            except InvalidStatus:
                pass
            else:
                raise AssertionError("a token for another resource was accepted")
        result = {"code": 400, "subCode": 8581, "message": "Transport url is not valid"}
        self._streaming("MediaStreamingFailed", NEVER, resultInformation=result)

    async def _open(self, audience: str = tokens.AUDIENCE) -> ClientConnection:
        bearer = tokens.token(aud=audience)
        headers = {
            "x-ms-call-connection-id": self.call.connection_id,
            "x-ms-call-correlation-id": f"correlation-{self.call.connection_id}",
            "Authorization": f"Bearer {bearer}",
        }
        return await connect(self._url, additional_headers=headers, ssl=self._trust)

    async def _stream(self) -> None:
        await asyncio.sleep(LATE_SECONDS)
        socket = await self._open()
        self._streaming("MediaStreamingStarted", "subscriptionStarted")
        begin, end = self.call.away
        if self.call.kind not in (Kind.HALF_WAY, Kind.RECONNECTED):
            await self._say(socket, self.call.seconds)
            await socket.close()
            return
        away_at = await self._say(socket, begin)
        socket.transport.abort()
        self._streaming("MediaStreamingFailed", INTERRUPTED)
        back_at = self.outcome.connected_at + self.call.seconds
        if self.call.kind is Kind.RECONNECTED:
            await asyncio.sleep(end - begin)
            socket = await self._open()
            self._streaming("MediaStreamingStarted", "streamConnectionReestablished")
            back_at = time.time()
            await self._say(socket, self.call.seconds)
            await socket.close()
        self.outcome.missing.append((away_at, back_at, INTERRUPTED))

    async def _say(self, socket: ClientConnection, until: float) -> float:
        """Sends audio until `until` (seconds of the call); returns the end of the last packet."""
        metadata = {
            "subscriptionId": self.call.connection_id,
            "encoding": "PCM",
            "sampleRate": RATE,
            "channels": 1,
            "length": 640,
        }
        await socket.send(json.dumps({"kind": "AudioMetadata", "audioMetadata": metadata}))
        began, sent, is_marked = time.time(), 0, False
        while (at := began + sent * PACKET_SECONDS) < self.outcome.connected_at + until:
            await asyncio.sleep(max(0.0, at - time.time()))
            is_away = self.call.away[0] <= at - self.outcome.connected_at < self.call.away[1]
            if self.call.kind in (Kind.MUTED, Kind.HELD) and is_away != is_marked:
                is_marked = is_away
                self._participants(at, marked=is_marked)
            for number, raw_id in enumerate(VOICES):
                is_silent = is_away and (
                    self.call.kind is Kind.HELD or (self.call.kind is Kind.MUTED and number == 0)
                )
                if not is_silent:
                    await socket.send(self._packet(raw_id, at))
            sent += 1
        if self.call.kind is Kind.TRANSFERRED:
            self._event("CallTransferAccepted", time.time())
        return began + sent * PACKET_SECONDS

    def _participants(self, at: float, *, marked: bool) -> None:
        people = [
            {
                "identifier": {"rawId": raw_id, "kind": "unknown"},
                "isMuted": marked and self.call.kind is Kind.MUTED and number == 0,
                "isOnHold": marked and self.call.kind is Kind.HELD,
            }
            for number, raw_id in enumerate(VOICES)
        ]
        self._event("ParticipantsUpdated", at, participants=people, sequenceNumber=self._sequence)

    def _packet(self, raw_id: str, at: float) -> str:
        pcm = np.asarray([self._rng.getrandbits(12) for _ in range(8)] * 40, dtype="<i2").tobytes()
        stamped = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        audio = {
            "timestamp": stamped,
            "participantRawID": raw_id,
            "data": base64.b64encode(pcm).decode(),
            "silent": False,
        }
        return json.dumps({"kind": "AudioData", "audioData": audio})

    def _close_books(self) -> None:
        """Notes the whole call as missing if nothing of it was streamed."""
        if reason := NOT_STREAMED.get(self.call.kind):
            whole = (self.outcome.connected_at, self.outcome.disconnected_at, reason)
            self.outcome.missing = [whole]


class Poster:
    """Sends callbacks to the public address; raises for an answer other than 200."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        self._port, self._trust = port, trust

    async def __call__(self, event: dict[str, Any]) -> None:
        await asyncio.to_thread(self.post, [event])

    def post(self, events: Sequence[dict[str, Any]]) -> None:
        connection = http.client.HTTPSConnection(
            "localhost", self._port, context=self._trust, timeout=30
        )
        try:
            bearer = tokens.token(exp=int(time.time()) + 300)
            headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
            connection.request("POST", "/webhooks/acs/callbacks", json.dumps(events), headers)
            answer = connection.getresponse()
            assert answer.status == 200, (answer.status, answer.read())
        finally:
            connection.close()
