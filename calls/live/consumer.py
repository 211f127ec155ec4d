"""The browser's socket `/ws/live`: a snapshot, then what changes and the newest levels (product.md,
"The live socket").

Four tasks for each socket, owned by one TaskGroup, with one mailbox between those that fill and the
one that sends:

    listen           channel layer ──▶ view ──▶ mailbox
    watch_database   database      ──▶ view ──▶ mailbox     also: does the login still hold?
    send_mail                                   mailbox ──▶ browser
    hear_out         the browser   ──▶ counted, never read

The stock dispatch of Channels hops to a thread before every message; at ten news a second for each
dashboard this has its own loops instead. Any of the tasks ends the socket by raising a
`SocketClosed`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from calls.live import channel
from calls.live import messages as live_messages
from calls.live.levels import SentLevels
from calls.live.outbox import Outbox
from calls.live.sockets import (
    BrowserLeft,
    LoggedOut,
    NotAllowed,
    Receive,
    Send,
    SocketClosed,
    TooSlow,
    _in_database_thread,
    _within,
    first_of,
    ignore_input,
    user_of,
)
from calls.live.stored import stored_live_calls
from calls.live.view import LiveView, Message
from calls.permissions import SEE

log = structlog.get_logger(__name__)


JOIN_SECONDS = 1.0
"""A snapshot waits so long for the channel layer: what happens after it should be heard."""
DATABASE_SECONDS = 2.0
"""A snapshot waits so long for the database; then it is made from news alone."""
LOOK_SECONDS = live_messages.REPEAT_SECONDS
"""Between two looks at what only the database knows, and the longest silence on the socket: it is
the heartbeat.
"""
REJOIN_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses between attempts to join the channel layer; the last one repeats."""
LEVELS_SECONDS = 0.08
"""Least time between two messages with levels: about 10 a second, however many processes speak."""
LOGIN_SECONDS = 30.0
"""A session that has expired or was logged out is noticed within so long."""
SEND_SECONDS = 30.0
"""A browser that does not take one message in so long is gone."""
MAX_MINUTES_SENT = 10_000
"""Voices of which one browser is told the last minute before they are forgotten."""


class LiveConsumer(AsyncConsumer):  # type: ignore[misc]  # Channels is untyped
    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if not scope["user"].is_authenticated:
            await send({"type": "websocket.close", "code": LoggedOut.code})
            return
        if not await database_sync_to_async(scope["user"].has_perm)(
            SEE
        ):  # where the session was read, too
            await send({"type": "websocket.close", "code": NotAllowed.code})
            return
        await send({"type": "websocket.accept"})
        await LiveSocket(scope["session"].session_key, receive, send).run()


class LiveSocket:
    """One accepted socket, from its snapshot to its end."""

    def __init__(self, session_key: str, receive: Receive, send: Send) -> None:
        self._id = uuid4()
        self._session_key = session_key
        self._receive = receive
        self._send = send
        self._view = LiveView()
        self._mailbox = Outbox()
        self._levels = SentLevels()
        self._minutes_told: set[str] = set()
        self._wrote_at = time.monotonic()
        self._mail = asyncio.Event()
        self._joined = asyncio.Event()
        self._news_missed = asyncio.Event()

    async def run(self) -> None:
        log.info("live socket opened", socket=str(self._id))
        reason = BrowserLeft.__name__
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._listen, self._watch_database, self._send_outbox):
                    tasks.create_task(work())
                tasks.create_task(ignore_input(self._receive))
        except* SocketClosed as leaving:
            leave = first_of(leaving)
            reason = type(leave).__name__
            if leave.code is not None:
                with suppress(OSError):
                    await self._send({"type": "websocket.close", "code": leave.code})
        finally:
            log.info("live socket closed", socket=str(self._id), reason=reason)

    async def _listen(self) -> None:
        attempts = 0
        while True:
            try:
                async with channel.newsfeed() as next_news:
                    attempts = 0
                    self._joined.set()
                    self._news_missed.set()  # whatever was said before we joined
                    await channel.ask()
                    while True:
                        self._hear(await next_news())
            except channel.LAYER_ERRORS as error:
                if attempts == 0:
                    log.warning(
                        "channel layer away", socket=str(self._id), error=type(error).__name__
                    )
            await asyncio.sleep(REJOIN_SECONDS[min(attempts, len(REJOIN_SECONDS) - 1)])
            attempts += 1

    def _hear(self, news: live_messages.News) -> None:
        now = datetime.now(UTC)
        if self._view.missed(news, now):
            self._news_missed.set()
        self._mailbox.put(self._view.apply(news, now))
        self._mailbox.put_levels(news["process"], news["levels"])
        if "totals" in news:
            self._mailbox.put_totals(self._view.totals.message(now))
        if "minutes" in news:
            self._hear_minutes(news["minutes"])
        self._mail.set()

    def _hear_minutes(self, minutes: dict[str, str]) -> None:
        """Said once of each voice: from then on the page sees for itself."""
        new = {
            voice: minute for voice, minute in minutes.items() if voice not in self._minutes_told
        }
        if (
            len(self._minutes_told) > MAX_MINUTES_SENT
        ):  # of a day: then it is said again, which does no harm
            self._minutes_told.clear()
        self._minutes_told |= new.keys()
        self._mailbox.put_minutes(new)

    async def _watch_database(self) -> None:
        await _within(JOIN_SECONDS, self._joined)
        snapshot_due = True
        is_away = False
        login_checked_at = datetime.now(UTC)
        while True:
            self._news_missed.clear()
            now = datetime.now(UTC)
            if changes := self._view.expire(now):
                self._mailbox.put(changes)
                self._mail.set()
            if self._view.totals.has_lost(now):
                self._mailbox.put_totals(self._view.totals.message(now))
                self._mail.set()
            try:
                if now - login_checked_at > timedelta(seconds=LOGIN_SECONDS):
                    await self._check_login()
                    login_checked_at = now
                if snapshot_due or is_away or self._view.wants_database(now):
                    await self._ask_database(now, snapshot_due=snapshot_due)
                is_away = False
            except DatabaseError as error:
                if not is_away:
                    log.warning("database away", socket=str(self._id), error=type(error).__name__)
                is_away = True
            if snapshot_due:
                self._demand_snapshot()
            snapshot_due = await _within(LOOK_SECONDS, self._news_missed)

    async def _ask_database(self, now: datetime, *, snapshot_due: bool) -> None:
        asking = asyncio.ensure_future(_in_database_thread(stored_live_calls, now))
        try:
            done, _pending = await asyncio.wait({asking}, timeout=DATABASE_SECONDS)
            if snapshot_due and not done:
                self._demand_snapshot()
            stored = await asking
        finally:
            asking.cancel()
        self._mailbox.put(self._view.reconcile(stored, datetime.now(UTC)))
        self._mail.set()

    def _demand_snapshot(self) -> None:
        self._mailbox.demand_snapshot()
        self._mail.set()

    async def _check_login(self) -> None:
        if not await _in_database_thread(_may_see, self._session_key):
            raise LoggedOut

    async def _send_outbox(self) -> None:
        while True:
            is_due = await _within(LOOK_SECONDS, self._mail)
            self._mail.clear()
            snapshot_due, messages, levels = self._mailbox.take()
            facts = [self._view.snapshot()] if snapshot_due else messages
            for message in [*facts, *self._mailbox.take_news()]:
                await self._write(message)
            worth = self._levels.worth_sending(levels, time.monotonic())
            if (
                worth or not is_due or time.monotonic() - self._wrote_at >= LOOK_SECONDS
            ):  # empty ones: we are here
                await self._write({"type": "levels", "levels": worth})
            if levels:
                await asyncio.sleep(LEVELS_SECONDS)

    async def _write(self, message: Message) -> None:
        text = msgspec.json.encode(message).decode()
        self._wrote_at = time.monotonic()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise TooSlow from None
        except OSError:  # uvicorn's way to say that the browser is gone
            raise BrowserLeft from None


def _may_see(session_key: str) -> bool:
    return bool(user_of(session_key).has_perm(SEE))
