"""ACS's media socket: authenticate before accept, read, record, close.

| close code | when |
| --- | --- |
| 4401, 4403, 4503 | refused at the handshake (`streams.acs.auth`): HTTP 401, 403, 503 if possible |
| 4400 | the headers of the handshake are not what ACS sends |
| 4415 | unsupported encoding, channels or rate in AudioMetadata, or more than 256 of them |
| 4422 | the first 1,000 messages held nothing that we know |
| 4503 | nothing can be recorded: the journal cannot be written |
| 1012 | the server is going away (said by the server itself) |

Otherwise the client closes, and its code is kept. Channels' own dispatch would hop to a thread
before every message (220 to 530 µs); this consumer has its own loop, and still is a Channels
consumer with `as_asgi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from channels.consumer import AsyncConsumer

from streams.acs import messages as protocol
from streams.acs.auth import HandshakeAuth, Refused
from streams.ingest.packets import Malformed, UnsupportedAudio
from streams.ingest.stream import NoMedia, Stream
from streams.journal.files import JournalUnwritable
from streams.recorder import Recorder

log = structlog.get_logger(__name__)

BAD_HANDSHAKE, UNSUPPORTED_AUDIO, NO_MEDIA, NOT_RECORDING = 4400, 4415, 4422, 4503
HTTP_STATUS = {BAD_HANDSHAKE: 400, NOT_RECORDING: 503}

YIELD_EVERY = 64
"""A flooded socket lets the others have a turn after so many messages."""


class MediaConsumer(AsyncConsumer):  # type: ignore[misc] # channels is untyped
    """One media socket. `recorder` and `door` are the process's; they come through `as_asgi`."""

    def __init__(self, *, recorder: Recorder, door: HandshakeAuth) -> None:
        super().__init__()
        self._recorder = recorder
        self._door = door

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        stream = await self._admit(scope, send)
        if stream is None:
            return
        code: int | None = None
        reason = "cancelled"
        try:
            await send({"type": "websocket.accept"})
            code, reason = await self._record(stream, scope, receive)
            await self._door.wait_to_close()
            if reason:
                await send({"type": "websocket.close", "code": code, "reason": reason})
        # also when the server ends this task: what was read is in the journal, and its end is said
        finally:
            self._recorder.close(stream, code, reason)
            _log_totals(stream)

    async def _admit(self, scope: dict[str, Any], send: Any) -> Stream | None:
        """Opens a stream for a socket that may come in; refuses it before accept otherwise."""
        try:
            await self._door.admit(scope)
            connection_id = header(scope, b"x-ms-call-connection-id")
            correlation_id = header(scope, b"x-ms-call-correlation-id")
            stream = self._recorder.open(connection_id, correlation_id, protocol.ACS)
        except Refused as refused:
            self._recorder.note_handshake("refused")
            await refuse(scope, send, refused.close_code, refused.status)
        except Malformed as malformed:
            self._recorder.note_handshake("failed")
            log.warning("handshake refused", reason=malformed.reason)
            await refuse(scope, send, BAD_HANDSHAKE, HTTP_STATUS[BAD_HANDSHAKE])
        except JournalUnwritable as error:
            self._recorder.note_handshake("failed")
            log.error("handshake refused", reason=str(error))
            await refuse(scope, send, NOT_RECORDING, HTTP_STATUS[NOT_RECORDING])
        else:
            self._recorder.note_handshake("accepted")
            log.info(
                "stream opened", stream=stream.handshake.stream_id, call=stream.handshake.call_id
            )
            return stream
        return None

    async def _record(
        self, stream: Stream, scope: dict[str, Any], receive: Any
    ) -> tuple[int | None, str]:
        """Reads until the socket closes or must be closed: the close code, and our reason if it is
        we who close.
        """
        deliver = scope.get("extensions", {}).get("acsmedia.deliver") or partial(
            each_message, receive
        )
        try:
            disconnect = await deliver(lambda messages: stream.receive(*messages))
        except UnsupportedAudio as unsupported:
            return UNSUPPORTED_AUDIO, unsupported.reason
        except NoMedia:
            return NO_MEDIA, "no media in the first messages"
        return disconnect.get("code"), ""


async def each_message(
    receive: Any, take: Callable[[Sequence[str | bytes]], None]
) -> dict[str, Any]:
    """Hands every message of ASGI's `receive` to `take`; the event that is none. For servers that
    cannot themselves.
    """
    count = 0
    while True:
        message: dict[str, Any] = await receive()
        if message["type"] != "websocket.receive":
            return message
        take((message.get("text") or message.get("bytes") or b"",))
        count += 1
        if count % YIELD_EVERY == 0:
            await asyncio.sleep(0)


async def refuse(scope: dict[str, Any], send: Any, code: int, status: int) -> None:
    """Ends the handshake: with an HTTP status where the server can send one, else with 403 by
    closing before accept.
    """
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": code})


def header(scope: dict[str, Any], name: bytes) -> str:
    """The header's value, "" where it is absent. Raises `Malformed` where it cannot be an id."""
    value = next((value for key, value in scope["headers"] if key.lower() == name), b"")
    return protocol.identifier(name.decode(), value.decode("latin-1").strip())


def _log_totals(stream: Stream) -> None:
    tally, closed = stream.tally, stream.closed
    log.info(
        "stream closed",
        stream=stream.handshake.stream_id,
        call=stream.handshake.call_id,
        code=closed.code if closed else None,
        reason=closed.reason if closed else "",
        participants=len(stream.speakers),
        audio=tally.audio,
        dtmf=tally.dtmf,
        unknown=tally.unknown,
        malformed=tally.malformed,
        unwritten=tally.unwritten,
        odd_bytes=tally.odd_bytes,
        reasons=dict(tally.reasons),
    )
