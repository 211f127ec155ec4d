"""Listener of picows: turns its callbacks into ASGI events, or passes messages to a callback.

A message may come in fragments. A text that is not UTF-8 closes the socket if the application calls
`receive`; the callback of `deliver` gets the raw bytes, all messages of one read together. A
violation of the protocol closes the socket with a code of RFC 6455, section 7.4.1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport
from uvicorn.protocols.utils import ClientDisconnected

from acsmedia.servers.lingering_close import discard_rest

NORMAL_CLOSURE = 1000
PROTOCOL_ERROR = 1002  # for example fragments in the wrong order
NO_CODE = 1005  # the close frame has no code
ABNORMAL_CLOSURE = 1006  # the connection broke
INVALID_TEXT = 1007  # not UTF-8
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

QUEUE_MESSAGES = 16
"""Reading is paused while this many messages wait for `receive`."""

CLOSE_SECONDS = 5.0
"""Time for the client to answer our close frame before the connection is aborted."""

MISSED_PINGS = 7
"""Pings in a row without an answer after which a client is lost: after 24 s with the interval of
`acsmedia.servers.commands`.
"""

TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
CLOSE, PING, PONG = WSMsgType.CLOSE, WSMsgType.PING, WSMsgType.PONG

Take = Callable[[Sequence[bytes]], None]
Event = dict[str, Any]


class Listener(WSListener):
    """One accepted WebSocket: `deliver` or `receive` incoming messages, `send` and `close`."""

    def __init__(self, max_bytes: int, on_disconnect: Callable[[], None]) -> None:
        self._max_bytes = max_bytes
        self._on_disconnect = on_disconnect
        self._transport: WSTransport
        self.is_connected = False
        self._take: Take | None = None
        self._messages: list[bytes] = []  # of the current read
        self._partial: bytearray | None = None  # a message received in part
        self._kind = TEXT  # of that message
        self._queue: deque[Event] = deque()
        self._is_paused = False
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._failure: Exception | None = None
        self._disconnect_event: Event | None = None
        self._unanswered_pings = 0
        self._is_closed = False  # by us
        self._timer: asyncio.TimerHandle | None = None

    # --- picows ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport, self.is_connected = transport, True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is CLOSE:
            code = frame.get_close_code().value if frame.payload_size else NO_CODE
            self._finish(code)
            if not self._is_closed:
                self._is_closed = True
                # picows sends any code, not only those of its enumeration
                transport.send_close(NORMAL_CLOSURE if code == NO_CODE else code)  # type: ignore[arg-type]
            transport.disconnect()
        elif transport.is_close_frame_sent:
            return  # also by picows, which keeps reading after a protocol error
        elif kind is PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif (kind is TEXT or kind is BINARY) and frame.fin and self._partial is None:
            self._receive_message(kind, frame.get_payload_as_bytes())
        elif kind is TEXT or kind is BINARY or kind is CONTINUATION:
            self._append_fragment(kind, frame)
        else:
            self._unanswered_pings = 0
        if frame.last_in_buffer and self._messages:
            self._deliver_read()

    def send_user_specific_ping(self, transport: WSTransport) -> None:
        """Called when the client was idle for an interval. picows would close the socket if no pong
        came within the next, so it is told of one unless too many are missing.
        """
        transport.send_ping()
        self._unanswered_pings += 1
        if self._unanswered_pings < MISSED_PINGS:
            received = transport.notify_user_specific_pong_received
            asyncio.get_running_loop().call_soon(received)

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        """Called while a pong is due; frames recognised here do not reach `on_ws_frame`."""
        is_pong = frame.msg_type is PONG
        if is_pong:
            self._unanswered_pings = 0
        if is_pong and frame.last_in_buffer:
            self._deliver_read()
        return is_pong

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        sent = transport.close_handshake.sent if transport.close_handshake else None
        code = sent.code.value if sent else None
        is_invalid = code in (PROTOCOL_ERROR, TOO_BIG)
        self._finish(code if code and is_invalid else ABNORMAL_CLOSURE)
        if is_invalid:
            discard_rest(transport.underlying_transport)
        self._writable.set()  # wakes a `send` that was waiting for a full connection
        if self._timer:
            self._timer.cancel()
        self._on_disconnect()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- the application ---

    async def deliver(self, take: Take) -> Event:
        """Calls `take` with messages as they are read; returns the websocket.disconnect.

        Exceptions of `take` are raised here.
        """
        if self._queue:
            take(
                [
                    event["bytes"] if "bytes" in event else event["text"].encode()
                    for event in self._queue
                ]
            )
            self._queue.clear()
        self._take = take
        self._resume_reading()
        while self._disconnect_event is None:
            self._changed.clear()
            await self._changed.wait()
            if self._failure:
                raise self._failure
        return self._disconnect_event

    async def receive(self) -> Event:
        while not self._queue and self._disconnect_event is None:
            self._changed.clear()
            await self._changed.wait()
        if not self._queue:
            assert self._disconnect_event, "the queue has a message, or there is an end"
            return self._disconnect_event
        event = self._queue.popleft()
        if not self._queue:
            self._resume_reading()
        return event

    async def send(self, message: Event) -> None:
        """Raises `ClientDisconnected` if the socket is closed."""
        await self._writable.wait()
        if self._disconnect_event or self._is_closed:
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self.close(message.get("code", 1000), message.get("reason") or "")
        elif (text := message.get("text")) is not None:
            self._transport.send(TEXT, text.encode())
        else:
            self._transport.send(BINARY, message["bytes"])

    def close(self, code: int, reason: str = "") -> None:
        """Sends a close frame; the client has `CLOSE_SECONDS` to answer. Idempotent."""
        if self._disconnect_event or self._is_closed:
            return
        self._deliver_read()
        self._is_closed = True
        self._take = None
        # picows sends any code, not only those of its enumeration
        self._transport.send_close(code, reason)  # type: ignore[arg-type]
        self._queue.clear()
        self._resume_reading()
        loop = asyncio.get_running_loop()
        # the last argument: not gracefully
        self._timer = loop.call_later(CLOSE_SECONDS, self._transport.disconnect, False)  # noqa: FBT003

    def close_now(self, code: int) -> None:
        """Closes without waiting for the client's answer."""
        self.close(code)
        self._finish(code)
        self._transport.disconnect()

    # --- incoming frames ---

    def _receive_message(self, kind: WSMsgType, message: bytes) -> None:
        if self._take is not None:
            self._messages.append(message)
            return
        if self._is_closed or self._failure or self._disconnect_event:
            return
        try:
            content = {"bytes": message} if kind is BINARY else {"text": message.decode()}
        except UnicodeDecodeError:
            self.close_now(INVALID_TEXT)
            return
        self._queue.append({"type": "websocket.receive", **content})
        self._changed.set()
        if len(self._queue) >= QUEUE_MESSAGES and not self._is_paused:
            self._is_paused = True
            self._transport.underlying_transport.pause_reading()

    def _deliver_read(self) -> None:
        messages, self._messages = self._messages, []
        if self._take is None or not messages:
            return
        try:
            self._take(messages)
        except Exception as failure:  # noqa: BLE001 - raised again in `deliver`
            self._take, self._failure = None, failure
            self._changed.set()

    def _append_fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind is CONTINUATION) is (self._partial is None):
            self.close_now(PROTOCOL_ERROR)
            return
        if self._partial is None:
            self._partial, self._kind = bytearray(), kind
        self._partial += frame.get_payload_as_memoryview()
        if len(self._partial) > self._max_bytes:
            self.close_now(TOO_BIG)
        elif frame.fin:
            message, self._partial = bytes(self._partial), None
            self._receive_message(self._kind, message)

    def _finish(self, code: int) -> None:
        """Ends receiving. Only the first call sets the code."""
        self._deliver_read()
        self._take = None
        if self._disconnect_event is None:
            self._disconnect_event = {"type": "websocket.disconnect", "code": code}
            self._changed.set()

    def _resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.underlying_transport.resume_reading()
