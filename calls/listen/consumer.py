"""The browser's socket `/ws/listen/<call id>`: audio of a live call for users who may listen
(docs/listening.md).

Four tasks per socket besides the one that reads, owned by one TaskGroup:

    _repeat_request  every 2 s: a request to the recording processes
    _receive_audio   channel layer ──▶ waiting chunks, bounded, the newest win
    _send_audio      waiting chunks ──▶ browser
    _check_access    every 5 s: heartbeat, permission, is the call still live; extends the ledger
                     entry

No audio is sent before the ledger and the audit have an entry.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Hashable
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import structlog
from channels.consumer import AsyncConsumer
from django.db import Error as DatabaseError
from django.db import transaction

from calls.audit.actors import Actor, actor_of_scope
from calls.audit.trail import record
from calls.http.access import user_of
from calls.identity import label_of
from calls.listen import messages
from calls.listen.messages import AudioChunk, ListenRequest
from calls.live import channel
from calls.live.sockets import (
    BrowserSocket,
    DatabaseThreads,
    LoggedOut,
    NotAllowed,
    Receive,
    Send,
    SocketClosed,
    Work,
)
from calls.models import Action, Call, database_now, listening
from calls.permissions import TO_LISTEN, missing

log = structlog.get_logger(__name__)

MAX_LISTENERS = 20
"""In one process; further ones are refused, because each costs the process that also records."""
MAX_OF_A_USER = 5
"""Most listeners of one user in a process, so that places are left for others."""
MAX_CHUNKS = 100
"""Most chunks waiting for one browser: 2.5 s of four speakers. The newest stay."""
MAX_VOICES = 1_000
"""Most participants announced to one browser."""
SEND_SECONDS = 5.0
"""A browser that takes longer for one message is disconnected."""
REQUEST_SECONDS = 1.0
CHECK_SECONDS = 5.0
DATABASE_SECONDS = 10.0
HEARTBEAT = '{"type": "heartbeat"}'
"""Sent every `CHECK_SECONDS`, at most `DATABASE_SECONDS` later: after 20 s of silence a page
considers its connection dead.
"""

_database = DatabaseThreads("listen-database")


class NotLive(SocketClosed):
    """The call does not exist, or has ended."""

    code = 4410


class TooManyListeners(SocketClosed):
    """All slots are taken, or the ledger cannot be written."""

    code = 4503


class ListenerSlots:
    """Bounds the number of listeners in this process, and of each user."""

    def __init__(self, limit: int = MAX_LISTENERS, each: int = MAX_OF_A_USER) -> None:
        self._limit, self._each = limit, each
        self._taken: Counter[Hashable] = Counter()

    def acquire(self, user: Hashable) -> None:
        """Raises `TooManyListeners`."""
        if self._taken.total() >= self._limit or self._taken[user] >= self._each:
            raise TooManyListeners
        self._taken[user] += 1

    def release(self, user: Hashable) -> None:
        self._taken[user] -= 1
        if not self._taken[user]:
            del self._taken[user]


class ListenConsumer(AsyncConsumer):  # type: ignore[misc]  # Channels is untyped
    def __init__(self, slots: ListenerSlots) -> None:
        self._slots = slots

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        call_id: UUID = scope["url_route"]["kwargs"]["call_id"]
        user = scope["user"].pk
        try:
            self._slots.acquire(user)
        except TooManyListeners as full:
            await send({"type": "websocket.close", "code": full.code})
            return
        try:
            key = scope["session"].session_key if scope["user"].is_authenticated else ""
            entry_id = await _database.run(_begin_entry, key, call_id, actor_of_scope(scope))
            await send({"type": "websocket.accept"})
            await ListenSocket(call_id, entry_id, key, receive, send).run()
        except SocketClosed as refused:
            await send({"type": "websocket.close", "code": refused.code})
        except DatabaseError:  # without an entry in the ledger nobody listens
            await send({"type": "websocket.close", "code": TooManyListeners.code})
        finally:
            self._slots.release(user)


class ListenSocket(BrowserSocket):
    """One listener's socket, from its entry in the ledger to its end."""

    opened = "listening started"
    closed = "listening ended"

    def __init__(
        self, call_id: UUID, entry_id: UUID, session_key: str, receive: Receive, send: Send
    ) -> None:
        bound_log = log.bind(call=str(call_id), entry=str(entry_id))
        super().__init__(receive, send, bound_log, SEND_SECONDS)
        self._call_id = call_id
        self._entry_id = entry_id
        self._session_key = session_key
        self._chunks: deque[AudioChunk] = deque(maxlen=MAX_CHUNKS)
        self._has_chunks = asyncio.Event()
        self._announced: set[str] = set()

    def tasks(self) -> tuple[Work, ...]:
        return self._repeat_request, self._receive_audio, self._send_audio, self._check_access

    async def clean_up(self) -> None:
        with suppress(*channel.LAYER_ERRORS):
            await self._send_request(listens=False)
        with suppress(DatabaseError):
            await _database.run(listening.extend, self._entry_id)

    async def _repeat_request(self) -> None:
        while True:
            with suppress(*channel.LAYER_ERRORS):
                await self._send_request(listens=True)
            await asyncio.sleep(messages.REPEAT_SECONDS)

    async def _send_request(self, *, listens: bool) -> None:
        request = ListenRequest(
            call=str(self._call_id), listener=str(self._entry_id), listens=listens
        )
        async with asyncio.timeout(REQUEST_SECONDS):
            await channel.send(channel.RECORDERS, {"type": messages.REQUEST, "wish": request})

    async def _receive_audio(self) -> None:
        group = messages.group_of(str(self._call_id))
        while True:
            with suppress(*channel.LAYER_ERRORS):
                async with channel.messages_of(group, messages.AUDIO) as next_message:
                    while True:
                        self._chunks.extend((await next_message())["parts"])
                        self._has_chunks.set()
            await asyncio.sleep(messages.REPEAT_SECONDS)

    async def _send_audio(self) -> None:
        while True:
            await self._has_chunks.wait()
            self._has_chunks.clear()
            while self._chunks:
                chunk = self._chunks.popleft()
                participant = chunk["participant"]
                if participant not in self._announced and len(self._announced) < MAX_VOICES:
                    self._announced.add(participant)
                    label = label_of(chunk["raw_id"])
                    voice = {"type": "voice", "id": participant, "label": label}
                    await self.write(text=msgspec.json.encode(voice).decode())
                await self.write(bytes=messages.binary_of(chunk, time.time_ns() // 1000))

    async def _check_access(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.write(text=HEARTBEAT)
            try:
                async with asyncio.timeout(DATABASE_SECONDS):
                    await _database.run(
                        _check_and_extend_entry, self._session_key, self._call_id, self._entry_id
                    )
            except (DatabaseError, TimeoutError) as error:
                # The permission can no longer be checked, nor the ledger entry extended.
                self._log.warning("listening cut off", error=type(error).__name__)
                raise TooManyListeners from None


def _begin_entry(session_key: str, call_id: UUID, actor: Actor) -> UUID:
    """Writes the entries of ledger and audit, both or none; returns the id of the first.

    Raises `LoggedOut`, `NotAllowed`, `NotLive`.
    """
    user = _check(session_key, call_id)
    with transaction.atomic():
        entry_id = listening.begin(call_id, user.get_username())
        detail = {"entry": str(entry_id)}
        record(Action.LISTENED_LIVE, actor=actor, call=call_id, detail=detail)
    return entry_id


def _check_and_extend_entry(session_key: str, call_id: UUID, entry_id: UUID) -> None:
    """Raises `LoggedOut`, `NotAllowed`, `NotLive`."""
    _check(session_key, call_id)
    listening.extend(entry_id)


def _check(session_key: str, call_id: UUID) -> Any:
    """Returns the user of the session. Raises `LoggedOut`, `NotAllowed`, `NotLive`."""
    user = user_of(session_key)
    if not user.is_authenticated:
        raise LoggedOut
    if missing(user, TO_LISTEN):
        raise NotAllowed
    if not Call.objects.live(database_now()).filter(pk=call_id).exists():
        raise NotLive
    return user
