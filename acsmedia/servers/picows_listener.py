"""What comes over an accepted WebSocket, from picows' callbacks to ASGI's events or straight to the
application.

A message may come in fragments; one that is not text in UTF-8 ends a socket whose application reads
texts, while a `take` gets the bytes as they are, all those of one read of the socket together. What
breaks the protocol ends the socket with the code of RFC 6455, section 7.4.1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport
from uvicorn.protocols.utils import ClientDisconnected

OK, OUT_OF_ORDER, NO_CODE, BROKEN, BAD_TEXT, TOO_BIG, FAILED, RESTART = (
    1000,
    1002,
    1005,
    1006,
    1007,
    1009,
    1011,
    1012,
)
"""In this order: all is well; fragments that make no message; none was given; the connection broke;
no UTF-8; a message beyond the bound; our own error; the server goes away.
"""

QUEUE_MESSAGES = 16
"""Messages that wait for `receive`; at that number reading is paused."""

CLOSE_SECONDS = 5.0
"""A client that does not answer our close in so long is cut off."""

TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
CLOSE, PING, PONG = WSMsgType.CLOSE, WSMsgType.PING, WSMsgType.PONG

Take = Callable[[Sequence[bytes]], None]
Event = dict[str, Any]


class Listener(WSListener):
    """`deliver` or `receive` what comes, `send` what ASGI sends after the handshake; `leave` when
    the server ends.
    """

    def __init__(self, max_bytes: int, on_gone: Callable[[], None]) -> None:
        self._max_bytes = max_bytes
        self._on_gone = on_gone
        self._transport: WSTransport
        self.is_connected = False
        self._take: Take | None = None
        self._messages: list[bytes] = []  # of the read that is being looked at
        self._partial: bytearray | None = None  # a message of which fragments have come
        self._kind = TEXT  # of that message
        self._queue: deque[Event] = deque()
        self._is_paused = False
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._failure: Exception | None = None
        self._end: Event | None = None
        self._is_closed = False  # by us
        self._timer: asyncio.TimerHandle | None = None

    # --- picows ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport, self.is_connected = transport, True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is CLOSE:
            self._hear_close(frame)
        elif transport.is_close_frame_sent:
            return  # also by picows, which reads on after a frame that broke the protocol
        elif kind is PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif (kind is TEXT or kind is BINARY) and frame.fin and self._partial is None:
            self._hear(kind, frame.get_payload_as_bytes())
        elif kind is TEXT or kind is BINARY or kind is CONTINUATION:
            self._piece_together(kind, frame)
        if frame.last_in_buffer and self._messages:
            self._hand_over()

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        """Asked while an answer to our ping is due; what is one does not come to `on_ws_frame`."""
        is_pong = frame.msg_type is PONG
        if is_pong and frame.last_in_buffer:
            self._hand_over()
        return is_pong

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        sent = transport.close_handshake.sent if transport.close_handshake else None
        self._finish(
            sent.code.value if sent and sent.code.value in (OUT_OF_ORDER, TOO_BIG) else BROKEN
        )
        # nobody else would wake a sender of a connection that broke while it was full
        self._writable.set()
        if self._timer:
            self._timer.cancel()
        self._on_gone()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- the application ---

    async def deliver(self, take: Take) -> Event:
        """Hands messages to `take` as they are read; the websocket.disconnect. Raises what `take`
        has raised.
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
        self._go_on_reading()
        while self._end is None:
            self._news.clear()
            await self._news.wait()
            if self._failure:
                raise self._failure
        return self._end

    async def receive(self) -> Event:
        while not self._queue and self._end is None:
            self._news.clear()
            await self._news.wait()
        if not self._queue:
            assert self._end, "the queue has a message, or there is an end"
            return self._end
        event = self._queue.popleft()
        if not self._queue:
            self._go_on_reading()
        return event

    async def send(self, message: Event) -> None:
        """Raises `ClientDisconnected` when nobody is there to send to."""
        await self._writable.wait()
        if self._end or self._is_closed:
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self.close(message.get("code", 1000), message.get("reason") or "")
        elif (text := message.get("text")) is not None:
            self._transport.send(TEXT, text.encode())
        else:
            self._transport.send(BINARY, message["bytes"])

    def close(self, code: int, reason: str = "") -> None:
        """Says goodbye; the client has `CLOSE_SECONDS` to answer. Again, or after its own goodbye,
        nothing.
        """
        if self._end or self._is_closed:
            return
        self._hand_over()
        self._is_closed = True
        self._take = None
        self._transport.send_close(code, reason)  # type: ignore[arg-type] # any code, not only those picows names
        self._queue.clear()
        self._go_on_reading()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(CLOSE_SECONDS, self._transport.disconnect, False)  # noqa: FBT003 - not gracefully

    def leave(self, code: int) -> None:
        """Closes and does not wait for an answer."""
        self.close(code)
        self._finish(code)
        self._transport.disconnect()

    # --- what was heard ---

    def _hear(self, kind: WSMsgType, message: bytes) -> None:
        if self._take is not None:
            self._messages.append(message)
        elif not (self._is_closed or self._failure or self._end):
            self._enqueue(kind, message)

    def _hand_over(self) -> None:
        messages, self._messages = self._messages, []
        if self._take is None or not messages:
            return
        try:
            self._take(messages)
        except Exception as failure:  # noqa: BLE001 - raised again where the application waits
            self._take, self._failure = None, failure
            self._news.set()

    def _enqueue(self, kind: WSMsgType, message: bytes) -> None:
        try:
            self._queue.append(_event_of(kind, message))
        except UnicodeDecodeError:
            self.leave(BAD_TEXT)
            return
        self._news.set()
        if len(self._queue) >= QUEUE_MESSAGES and not self._is_paused:
            self._is_paused = True
            self._transport.underlying_transport.pause_reading()

    def _hear_close(self, frame: WSFrame) -> None:
        code = frame.get_close_code().value if frame.payload_size else NO_CODE
        self._finish(code)
        if not self._is_closed:
            self._is_closed = True
            self._transport.send_close(OK if code == NO_CODE else code)  # type: ignore[arg-type] # any code may be sent
        self._transport.disconnect()

    def _piece_together(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind is CONTINUATION) is (self._partial is None):
            self.leave(OUT_OF_ORDER)
            return
        if self._partial is None:
            self._partial, self._kind = bytearray(), kind
        self._partial += frame.get_payload_as_memoryview()
        if len(self._partial) > self._max_bytes:
            self.leave(TOO_BIG)
        elif frame.fin:
            message, self._partial = bytes(self._partial), None
            self._hear(self._kind, message)

    def _finish(self, code: int) -> None:
        """Nothing more comes. The first to say so is right."""
        self._hand_over()
        self._take = None
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code}
            self._news.set()

    def _go_on_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.underlying_transport.resume_reading()


def _event_of(kind: WSMsgType, message: bytes) -> Event:
    """Raises `UnicodeDecodeError` for a text that is none."""
    if kind is BINARY:
        return {"type": "websocket.receive", "bytes": message}
    return {"type": "websocket.receive", "text": message.decode()}
