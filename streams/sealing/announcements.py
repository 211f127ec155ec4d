"""Facts of open journals, read so that live calls have rows before anything is sealed.

A stream's first file is read again as it grows, until it holds a second or two: by then everyone
has been heard. A later file begins with all facts known so far and is read once; a participant who
first speaks in it becomes a row when it is sealed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread

from django.db import Error as DatabaseError
from django.db import connections
from msgspec import structs

from calls.models import database_now
from streams.journal.backlog import size_of, stream_of
from streams.journal.records import Handshake, Metadata, Record, Voice, parse
from streams.sealing import queries, rows
from streams.sealing.digest import StreamState, digest_of, handshake_in
from streams.sealing.rows import Announcement

HEARTBEAT_SECONDS = 5.0
CHECK_SECONDS = 0.5
"""Interval of the heartbeat's thread."""

ANNOUNCE_BYTES = 65_536
"""Bytes of a stream's first file that are read."""


@dataclass(frozen=True, slots=True)
class JournalUpdate:
    """Facts read from a file; `announcement` is None if none of them is new."""

    name: str
    bytes_read: int
    facts: frozenset[Record]
    announcement: Announcement | None


class OpenJournals:
    """`list` the open files, `read` those that have `grown`, and `keep` an update once it is
    written, so that it is not repeated.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes_read: dict[str, int] = {}  # of open files, by name
        self._announced: dict[str, frozenset[Record]] = {}  # facts of open streams

    @property
    def ids(self) -> list[str]:
        return list(self._announced)

    def list(self) -> None:
        names = open_names(self._folder)
        self._bytes_read = {name: self._bytes_read.get(name, -1) for name in names}
        stream_ids = [stream_of(name) for name in names]
        self._announced = {one: self._announced.get(one, frozenset()) for one in stream_ids}

    def grown(self) -> Iterator[str]:
        """Yields the names of files that hold more than was read; after `ANNOUNCE_BYTES` not even
        the size of a file is asked for.
        """
        for name, read in list(self._bytes_read.items()):
            if read < ANNOUNCE_BYTES and read < (size_of(self._folder / name) or -1):
                yield name

    def read(self, name: str) -> JournalUpdate | None:
        """Returns None if the file has just been finished: sealing it writes the rows."""
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(ANNOUNCE_BYTES)
        except FileNotFoundError:
            return None
        records = [
            record for record in parse(content) if isinstance(record, Handshake | Metadata | Voice)
        ]
        handshake = handshake_in(records)
        facts = frozenset(
            structs.replace(one, sequence=0) if isinstance(one, Handshake) else one
            for one in records
        )
        announcement = None
        if handshake and not facts <= self._announced.get(stream_of(name), frozenset()):
            state = StreamState()
            digest_of(records, handshake, state, last=False)
            if handshake.sequence > 0 and state.current > 0:
                # A later file repeats the metadata in force, not the first one.
                state.subscriptions.pop(0)
            announcement = Announcement(
                handshake, list(state.subscriptions.values()), state.raw_ids
            )
        later = handshake is not None and handshake.sequence > 0
        return JournalUpdate(name, ANNOUNCE_BYTES if later else len(content), facts, announcement)

    def keep(self, update: JournalUpdate) -> None:
        self._bytes_read[update.name] = update.bytes_read
        if update.announcement:
            stream_id = stream_of(update.name)
            self._announced[stream_id] = self._announced.get(stream_id, frozenset()) | update.facts


class Heartbeat:
    """Vouches for the sockets whose journals a process holds open: every `HEARTBEAT_SECONDS`, and
    at once after a step of the host's clock, which is SQLite's too.

    Besides the sealer a thread of its own calls `beat`: a file, a store or a sweep that takes long
    must not make a live call look like an interrupted one.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float], wall_clock_lead: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._wall_clock_lead, self._last_lead = wall_clock_lead, wall_clock_lead()
        self._due = clock()
        self._lock = Lock()
        self._stopping = Event()

    def start(self) -> None:
        Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def beat(self) -> None:
        """Writes the heartbeat if it is due. Raises `django.db.Error`."""
        with self._lock:
            now, lead = self._clock(), self._wall_clock_lead()
            if now < self._due and abs(lead - self._last_lead) < 1.0:
                return
            self._due, self._last_lead = now + HEARTBEAT_SECONDS, lead
        if ids := list({stream_of(name): None for name in open_names(self._folder)}):
            rows.vouch_for(ids, database_now())

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            with suppress(DatabaseError):  # the sealer meets it, too, and reports it
                self.beat()
            connections.close_all()


def open_names(folder: Path) -> list[str]:
    """Returns the names of the open journals in a folder, in order."""
    return sorted(name for name in os.listdir(folder) if name.endswith(".open"))  # noqa: PTH208


def connected_at(update: JournalUpdate) -> int:
    return update.announcement.handshake.connected_at_us if update.announcement else 0


def announce(updates: Sequence[JournalUpdate]) -> None:
    announced = [update.announcement for update in updates if update.announcement]
    handshakes = queries.decided([one.handshake for one in announced])
    rows.announce(
        [replace(one, handshake=of) for one, of in zip(announced, handshakes, strict=True)]
    )
