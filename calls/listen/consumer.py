"""The browser's socket `/ws/listen/<call id>`: a live call for the ears of somebody who may
(docs/listening.md).

Four tasks for each socket besides the one that reads, owned by one TaskGroup:

    wish    tells the recording processes every 2 s that somebody listens
    hear    channel layer ──▶ parts that wait, bounded, the newest win
    speak   parts ──▶ browser
    watch   every 5 s: a heartbeat; does the permission still hold, is the call still live; the
    ledger's entry grows

Nothing is heard before the entry is in the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
import structlog
from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError
from django.db.models.functions import Greatest
from django.utils import timezone

from calls.identity import label_of
from calls.listen import messages
from calls.listen.messages import AudioChunk
from calls.live import channel
from calls.live.sockets import (
    BrowserLeft,
    LoggedOut,
    NotAllowed,
    Receive,
    Send,
    SocketClosed,
    TooSlow,
    first_of,
    ignore_input,
    user_of,
)
from calls.models import Call, LedgerEntry
from calls.permissions import LISTEN, SEE

log = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_LISTENERS = 20
"""In one process; further ones are refused, because each costs the process that also records."""
MAX_CHUNKS = 100
"""That wait for one browser: 2.5 s of four speakers. The newest stay."""
SEND_SECONDS = 5.0
"""A browser that does not take one message in so long is cut off."""
WATCH_SECONDS = 5.0
DATABASE_SECONDS = 10.0
HEARTBEAT = '{"type": "heartbeat"}'
"""Said every `WATCH_SECONDS`, or `DATABASE_SECONDS` later at most: after 20 s of silence a page
knows that its connection is dead.
"""

_database_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="listen-database")
"""Not the thread that all consumers of a process share: a slow query would delay them all."""


class NotLive(SocketClosed):
    """No such call, or it is over."""

    code = 4410


class TooManyListeners(SocketClosed):
    """So many listen already, or nothing can be written into the ledger."""

    code = 4503


class ListenerSlots:
    """How many listen in this process."""

    def __init__(self, most: int = MAX_LISTENERS) -> None:
        self._most = most
        self._taken = 0

    def acquire(self) -> None:
        """Raises `TooManyListeners`."""
        if self._taken >= self._most:
            raise TooManyListeners
        self._taken += 1

    def release(self) -> None:
        self._taken -= 1


class ListenConsumer(AsyncConsumer):  # type: ignore[misc]  # Channels is untyped
    def __init__(self, places: ListenerSlots) -> None:
        self._places = places

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        call_id: UUID = scope["url_route"]["kwargs"]["call_id"]
        try:
            self._places.acquire()
        except TooManyListeners as full:
            await send({"type": "websocket.close", "code": full.code})
            return
        try:
            key = scope["session"].session_key if scope["user"].is_authenticated else ""
            entry_id = await _in_database(_begin, key, call_id)
            await send({"type": "websocket.accept"})
            await ListenSocket(call_id, entry_id, key, receive, send).run()
        except (
            SocketClosed,
            DatabaseError,
        ) as error:  # nothing is heard that the ledger does not know of
            code = error.code if isinstance(error, SocketClosed) else TooManyListeners.code
            await send({"type": "websocket.close", "code": code})
        finally:
            self._places.release()


class ListenSocket:
    """One accepted socket, from its entry in the ledger to its end."""

    def __init__(
        self, call_id: UUID, entry_id: UUID, session_key: str, receive: Receive, send: Send
    ) -> None:
        self._call_id = call_id
        self._entry_id = entry_id
        self._session_key = session_key
        self._receive = receive
        self._send = send
        self._parts: deque[AudioChunk] = deque(maxlen=MAX_CHUNKS)
        self._some = asyncio.Event()
        self._named: set[str] = set()

    async def run(self) -> None:
        log.info("listening began", call=str(self._call_id), entry=str(self._entry_id))
        reason = BrowserLeft.__name__
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._wish, self._hear, self._speak, self._watch):
                    tasks.create_task(work())
                tasks.create_task(ignore_input(self._receive))
        except* SocketClosed as leaving:
            leave = first_of(leaving)
            reason = type(leave).__name__
            if leave.code is not None:
                with suppress(OSError):
                    await self._send({"type": "websocket.close", "code": leave.code})
        finally:
            log.info(
                "listening ended", call=str(self._call_id), entry=str(self._entry_id), reason=reason
            )
            with suppress(*channel.LAYER_ERRORS):
                await self._say(listens=False)
            with suppress(DatabaseError):
                await _in_database(_extend, self._entry_id)

    async def _wish(self) -> None:
        while True:
            with suppress(*channel.LAYER_ERRORS):
                await self._say(listens=True)
            await asyncio.sleep(messages.REPEAT_SECONDS)

    async def _say(self, *, listens: bool) -> None:
        wish = messages.ListenRequest(
            call=str(self._call_id), listener=str(self._entry_id), listens=listens
        )
        async with asyncio.timeout(1.0):
            await channel.send(channel.RECORDERS, {"type": "listen.wish", "wish": wish})

    async def _hear(self) -> None:
        while True:
            with suppress(*channel.LAYER_ERRORS):
                async with channel.messages_of(
                    messages.group_of(str(self._call_id))
                ) as next_message:
                    while True:
                        self._parts.extend((await next_message())["parts"])
                        self._some.set()
            await asyncio.sleep(messages.REPEAT_SECONDS)

    async def _speak(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._parts:
                part = self._parts.popleft()
                if part["participant"] not in self._named and len(self._named) < 1_000:
                    self._named.add(part["participant"])
                    voice = {
                        "type": "voice",
                        "id": part["participant"],
                        "label": label_of(part["raw_id"]),
                    }
                    await self._write(text=msgspec.json.encode(voice).decode())
                await self._write(bytes=messages.binary_of(part, time.time_ns() // 1000))

    async def _write(self, **message: str | bytes) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "websocket.send", **message})
        except TimeoutError:
            raise TooSlow from None
        except OSError:
            raise BrowserLeft from None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._write(text=HEARTBEAT)
            try:
                async with asyncio.timeout(DATABASE_SECONDS):
                    await _in_database(_look, self._session_key, self._call_id, self._entry_id)
            except (
                DatabaseError,
                TimeoutError,
            ) as error:  # neither who listens nor for how long can be told any more
                log.warning(
                    "listening cut off", entry=str(self._entry_id), error=type(error).__name__
                )
                raise TooManyListeners from None


async def _in_database(work: Callable[..., T], *arguments: Any) -> T:
    result: T = await database_sync_to_async(
        work, thread_sensitive=False, executor=_database_threads
    )(*arguments)
    return result


def _begin(session_key: str, call_id: UUID) -> UUID:
    """Writes the entry. Raises `LoggedOut`, `NotAllowed`, `NotLive`."""
    user = _allowed(session_key)
    _require_live(call_id)
    now, detail = timezone.now(), {"user": user.get_username()}
    entry = LedgerEntry(id=uuid4(), call_id=call_id, started_at=now, ended_at=now, detail=detail)
    entry.kind = LedgerEntry.Kind.LISTENING
    entry.save(force_insert=True)
    return entry.id


def _look(session_key: str, call_id: UUID, entry_id: UUID) -> None:
    _allowed(session_key)
    _require_live(call_id)
    _extend(entry_id)


def _extend(entry_id: UUID) -> None:
    LedgerEntry.objects.filter(id=entry_id).update(ended_at=Greatest("started_at", timezone.now()))


def _allowed(session_key: str) -> Any:
    """The user of the session. Raises `LoggedOut` and `NotAllowed`."""
    user = user_of(session_key)
    if not user.is_authenticated:
        raise LoggedOut
    if not user.has_perms([SEE, LISTEN]):
        raise NotAllowed
    return user


def _require_live(call_id: UUID) -> None:
    if not Call.objects.live(timezone.now()).filter(pk=call_id).exists():
        raise NotLive
