"""ACS's media socket: authenticates before accept, reads, records, closes.

| close code | when |
| --- | --- |
| 4401, 4403, 4503 | refused at the handshake (`streams.acs.auth`): HTTP 401, 403, 503 if possible |
| 4400 | handshake headers are not ACS's |
| 4415 | unsupported encoding, channels or rate in AudioMetadata, or more than 256 of them |
| 4422 | the first 1,000 messages contained no known kind |
| 4503 | nothing can be recorded: the journal cannot be written |
| 1012 | the server is shutting down (sent by the server itself) |

Otherwise the client closes, and its code is recorded. Channels' own dispatch would hop to a thread
before every message (220 to 530 µs); this consumer runs its own loop, and still is a Channels
consumer with `as_asgi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from channels.consumer import AsyncConsumer

from calls.lockout import client_of_socket
from streams.acs import messages as protocol
from streams.acs.auth import CONNECTION_ID, HandshakeAuth, Refused, canary_id_of
from streams.ingest.packets import Malformed, UnsupportedAudio
from streams.ingest.stream import NoMedia, Stream
from streams.journal.files import JournalUnwritable
from streams.recorder import Recorder
from streams.refused import NOBODY, Origin
from streams.stats import HandshakeOutcome

log = structlog.get_logger(__name__)

BAD_HANDSHAKE, UNSUPPORTED_AUDIO, NO_MEDIA, NOT_RECORDING = 4400, 4415, 4422, 4503
CORRELATION_ID = b"x-ms-call-correlation-id"
HTTP_STATUS = {BAD_HANDSHAKE: 400, NOT_RECORDING: 503}

YIELD_EVERY = 64
"""Messages read in a row before yielding to the event loop, so that a flood does not starve other
sockets.
"""


class MediaConsumer(AsyncConsumer):  # type: ignore[misc] # channels is untyped
    """One media socket. The process's `recorder` and `auth` are passed through `as_asgi`."""

    def __init__(self, *, recorder: Recorder, auth: HandshakeAuth) -> None:
        super().__init__()
        self._recorder = recorder
        self._auth = auth

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
            deliver = scope.get("extensions", {}).get("acsmedia.deliver")
            if deliver is None:
                deliver = partial(each_message, receive)
            try:
                disconnect = await deliver(lambda messages: stream.receive(*messages))
                code, reason = disconnect.get("code"), ""
            except UnsupportedAudio as unsupported:
                code, reason = UNSUPPORTED_AUDIO, unsupported.reason
            except NoMedia:
                code, reason = NO_MEDIA, "no media in the first messages"
            await self._auth.wait_to_close()
            if reason:
                await send({"type": "websocket.close", "code": code, "reason": reason})
        finally:  # also when the server cancels this task: the journal gets its closing records
            self._recorder.close(stream, code, reason)
            _log_totals(stream)

    async def _admit(self, scope: dict[str, Any], send: Any) -> Stream | None:
        """Opens a stream for an authenticated socket; refuses any other before accept."""
        try:
            await self._auth.admit(scope)
            connection_id = header(scope, CONNECTION_ID)
            correlation_id = header(scope, CORRELATION_ID)
            found = await self._recorder.find_call(connection_id, protocol.ACS)
            stream = self._recorder.open(connection_id, correlation_id, protocol.ACS, found)
        except Refused as refused:
            reason = refused.reason.name.lower()
            self._note_refusal(reason, "refused", scope, is_signed=refused.is_signed)
            await refuse(scope, send, refused.close_code, refused.status)
        except Malformed as malformed:
            self._note_refusal("bad_handshake", "failed", scope)
            self._log_refusal(malformed.reason, is_unwritable=False)
            await refuse(scope, send, BAD_HANDSHAKE, HTTP_STATUS[BAD_HANDSHAKE])
        except JournalUnwritable as error:
            self._note_refusal("not_recording", "failed", scope)
            self._log_refusal(str(error), is_unwritable=True)
            await refuse(scope, send, NOT_RECORDING, HTTP_STATUS[NOT_RECORDING])
        else:
            self._note_accepted(stream)
            return stream
        return None

    def _note_refusal(
        self,
        reason: str,
        outcome: HandshakeOutcome,
        scope: dict[str, Any],
        *,
        is_signed: bool = False,
    ) -> None:
        from_acs = is_signed or has_call_id(scope)
        origin = origin_of(scope) if from_acs else NOBODY
        self._recorder.note_refusal(reason, from_acs=from_acs, origin=origin)
        self._recorder.note_handshake(outcome)

    def _note_accepted(self, stream: Stream) -> None:
        if not stream.is_canary:
            self._recorder.note_handshake("accepted")
        log.info("stream opened", stream=stream.handshake.stream_id, call=stream.handshake.call_id)

    def _log_refusal(self, reason: str, *, is_unwritable: bool) -> None:
        """Logs a refused handshake, at most one of a kind in ten seconds: a full disk refuses all
        of them.
        """
        more = self._recorder.refusal_lines.take("unwritable" if is_unwritable else "malformed")
        if more is None:
            return
        if is_unwritable:
            log.error("handshake refused", reason=reason, more=more)
        else:
            log.warning("handshake refused", reason=reason, more=more)


async def each_message(
    receive: Any, take: Callable[[Sequence[str | bytes]], None]
) -> dict[str, Any]:
    """Passes every message from ASGI's `receive` to `take`; returns the first event of another
    type.

    For servers without the extension `acsmedia.deliver`, which delivers all messages of one read.
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
    """Ends the handshake: with an HTTP status if the server supports it, else by closing before
    accept, which servers answer with 403.
    """
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": code})


def header(scope: dict[str, Any], name: bytes) -> str:
    """Returns the header's value, "" if absent. Raises `Malformed` if it is not fit for an id."""
    value = next((value for key, value in scope["headers"] if key.lower() == name), b"")
    return protocol.identifier(name.decode(), value.decode("latin-1").strip())


def origin_of(scope: dict[str, Any]) -> Origin:
    """Returns who was refused, for its row. An id that is not fit to be stored counts as absent."""
    ids = []
    for name in (CONNECTION_ID, CORRELATION_ID):
        try:
            ids.append(header(scope, name))
        except Malformed:
            ids.append("")
    return Origin(client_of_socket(scope) or "", *ids)


def has_call_id(scope: dict[str, Any]) -> bool:
    """Returns whether the handshake has one of the headers by which ACS names its call. Scanners do
    not know them. A canary call is none of ACS's.
    """
    has_header = any(
        key.lower() in (CONNECTION_ID, CORRELATION_ID) for key, _value in scope["headers"]
    )
    return has_header and not canary_id_of(scope)


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
        odd_timestamp=tally.odd_timestamp,
        reasons=dict(tally.reasons),
        oddities=dict(tally.oddities),
    )
