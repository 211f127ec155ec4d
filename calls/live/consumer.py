"""The browser's socket `/ws/live`: a snapshot, then changes and the newest levels
(docs/dashboard.md, "The socket").

Four tasks per socket, owned by one TaskGroup; an outbox connects the tasks that fill it with the
one that sends:

    _receive_news    channel layer ──▶ view ──▶ outbox
    _watch_database  database      ──▶ view ──▶ outbox     also: is the login still valid?
    _send_outbox                                outbox ──▶ browser
    _ignore_input    browser       ──▶ counted, never read

The stock dispatch of Channels hops to a thread before every message; at ten news a second for each
dashboard, this socket has its own loops instead. Any task ends the socket by raising a
`SocketClosed`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from django.db import Error as DatabaseError
from django.utils import timezone

from calls.http.access import user_of
from calls.live import channel, messages
from calls.live.levels import SentLevels
from calls.live.messages import BrowserMessage
from calls.live.outbox import Outbox
from calls.live.sockets import (
    BrowserSocket,
    DatabaseThreads,
    LoggedOut,
    NotAllowed,
    Receive,
    Send,
    Work,
    set_within,
)
from calls.live.stored import recent_names, recorder_state, stored_live_calls
from calls.live.view import LiveView
from calls.models import SILENT_AFTER, database_now
from calls.permissions import TO_SEE, missing

log = structlog.get_logger(__name__)

JOIN_SECONDS = 1.0
"""Longest wait of a snapshot for the channel layer, so that later news follow it."""
DATABASE_SECONDS = 2.0
"""Longest wait of a snapshot for the database; then it is made from news alone."""
CHECK_SECONDS = messages.REPEAT_SECONDS
"""Interval between checks of facts that only the database has, and the longest silence on the
socket: it is the heartbeat.
"""
REJOIN_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses between attempts to join the channel layer; the last one repeats."""
LEVELS_SECONDS = 0.08
"""Shortest interval between two messages with levels: about 10 a second, for any number of
processes.
"""
LOGIN_SECONDS = 30.0
"""An expired session or a logout is noticed within this time."""
SEND_SECONDS = 30.0
"""A browser that takes longer for one message counts as gone."""
MAX_MINUTES_SENT = 10_000
"""Most participants per browser whose last minute is remembered as sent."""

_STARTED = datetime.now(UTC) - timedelta(seconds=time.monotonic())
_database = DatabaseThreads("live-database")


def steady_now() -> datetime:
    """Returns the time by a clock that does not step: the view compares it with earlier ones."""
    return _STARTED + timedelta(seconds=time.monotonic())


class LiveConsumer(AsyncConsumer):  # type: ignore[misc]  # Channels is untyped
    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if not scope["user"].is_authenticated:
            await send({"type": "websocket.close", "code": LoggedOut.code})
            return
        # In the thread in which the session was read, too.
        if await database_sync_to_async(missing)(scope["user"], TO_SEE):
            await send({"type": "websocket.close", "code": NotAllowed.code})
            return
        await send({"type": "websocket.accept"})
        await LiveSocket(scope["session"].session_key, receive, send).run()


class LiveSocket(BrowserSocket):
    """One dashboard's socket, from its snapshot to its end."""

    opened = "live socket opened"
    closed = "live socket closed"

    def __init__(self, session_key: str, receive: Receive, send: Send) -> None:
        super().__init__(receive, send, log.bind(socket=str(uuid4())), SEND_SECONDS)
        self._session_key = session_key
        self._view = LiveView()
        self._outbox = Outbox()
        self._levels = SentLevels()
        self._minutes_sent: set[str] = set()
        self._recorders = messages.NO_RECORDERS  # as last sent
        self._recorders_known_from = steady_now()
        self._sent_at = time.monotonic()
        self._outbox_filled = asyncio.Event()
        self._joined = asyncio.Event()
        self._news_missed = asyncio.Event()

    def tasks(self) -> tuple[Work, ...]:
        return self._receive_news, self._watch_database, self._send_outbox

    async def _receive_news(self) -> None:
        attempts = 0
        while True:
            try:
                async with channel.newsfeed() as next_news:
                    attempts = 0
                    self._joined.set()
                    self._news_missed.set()  # all news before joining
                    await channel.ask()
                    while True:
                        self._apply(await next_news())
            except channel.LAYER_ERRORS as error:
                channel.layer_outage.note(error)
            await asyncio.sleep(REJOIN_SECONDS[min(attempts, len(REJOIN_SECONDS) - 1)])
            attempts += 1

    def _apply(self, news: messages.News) -> None:
        now = steady_now()
        if self._view.missed(news, now):
            self._news_missed.set()
        self._outbox.put(self._view.apply(news, now))
        self._outbox.put_levels(news["process"], news["levels"])
        if "totals" in news:
            self._outbox.put_totals(self._view.totals.message(now))
        if "minutes" in news:
            # Each participant's last minute is sent once: from then on the page has the levels.
            new = {
                participant: minute
                for participant, minute in news["minutes"].items()
                if participant not in self._minutes_sent
            }
            if len(self._minutes_sent) > MAX_MINUTES_SENT:  # after a day: sent again, harmless
                self._minutes_sent.clear()
            self._minutes_sent |= new.keys()
            self._outbox.put_minutes(new)
        self._outbox_filled.set()

    async def _watch_database(self) -> None:
        await set_within(JOIN_SECONDS, self._joined)
        snapshot_due, unreachable = True, False
        login_checked_at = steady_now()
        while True:
            self._news_missed.clear()
            now = steady_now()
            self._expire(now)
            try:
                if now - login_checked_at > timedelta(seconds=LOGIN_SECONDS):
                    if await _database.run(lambda: missing(user_of(self._session_key), TO_SEE)):
                        raise LoggedOut
                    login_checked_at = now
                if snapshot_due or unreachable or self._view.needs_database(now):
                    await self._reconcile(now, snapshot_due=snapshot_due)
                unreachable = False
            except DatabaseError as error:
                if not unreachable:
                    self._log.warning("database unreachable", error=type(error).__name__)
                unreachable = True
            if snapshot_due:
                self._request_snapshot()
            if not unreachable:
                await self._update_names()
            await self._update_recorders(now, unreachable=unreachable)
            snapshot_due = await set_within(CHECK_SECONDS, self._news_missed)

    def _expire(self, now: datetime) -> None:
        if changes := self._view.expire(now):
            self._outbox.put(changes)
            self._outbox_filled.set()
        if self._view.totals.has_expired(now):
            self._outbox.put_totals(self._view.totals.message(now))
            self._outbox_filled.set()

    async def _reconcile(self, now: datetime, *, snapshot_due: bool) -> None:
        query = asyncio.ensure_future(_database.run(lambda: stored_live_calls(database_now())))
        try:
            done, _pending = await asyncio.wait({query}, timeout=DATABASE_SECONDS)
            if snapshot_due and not done:
                self._request_snapshot()
            stored = await query
        finally:
            query.cancel()
        self._outbox.put(self._view.reconcile(stored, steady_now()))
        self._outbox_filled.set()

    async def _update_names(self) -> None:
        try:
            names = await _database.run(recent_names)
        except DatabaseError:  # the next check finds it unreachable, and then reads all calls
            return
        if changes := self._view.rename(names):
            self._outbox.put(changes)
            self._outbox_filled.set()

    async def _update_recorders(self, now: datetime, *, unreachable: bool) -> None:
        if unreachable:  # until the recorders have reported again, all of them look dead
            self._recorders_known_from = now + SILENT_AFTER
        if now < self._recorders_known_from:
            return None
        try:
            recorders = await _database.run(recorder_state, timezone.now())
        except DatabaseError:
            return await self._update_recorders(now, unreachable=True)
        if recorders != self._recorders:
            self._recorders = recorders
            self._outbox.put_recorders({"type": "recorders", **recorders})
            self._outbox_filled.set()
        return None

    def _request_snapshot(self) -> None:
        self._outbox.request_snapshot()
        self._outbox_filled.set()

    async def _send_outbox(self) -> None:
        while True:
            is_filled = await set_within(CHECK_SECONDS, self._outbox_filled)
            self._outbox_filled.clear()
            snapshot_due, call_messages, levels = self._outbox.take()
            if snapshot_due:
                call_messages = [self._view.snapshot()]
            for message in [*call_messages, *self._outbox.take_totals_and_minutes()]:
                await self._send_message(message)
            worth = self._levels.worth_sending(levels, time.monotonic())
            is_silent = not is_filled or time.monotonic() - self._sent_at >= CHECK_SECONDS
            if worth or is_silent:  # empty levels are the heartbeat
                await self._send_message({"type": "levels", "levels": worth})
            if levels:
                await asyncio.sleep(LEVELS_SECONDS)

    async def _send_message(self, message: BrowserMessage) -> None:
        text = msgspec.json.encode(message).decode()
        self._sent_at = time.monotonic()
        await self.write(text=text)
