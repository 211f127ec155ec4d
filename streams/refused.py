"""Refused handshakes on their way to rows: from the event loop to the sealer, which writes them.

    handshake ──▶ RefusedHandshakes ──pipe──▶ ReceivedRows ──▶ table RefusedHandshake
                  keeps each row until it is confirmed

One row per minute, reason, call and address. A flood must cost neither memory nor disk, and no
refusal may be uncounted, so the rows become coarser step by step:

1. a client that is not from ACS is counted without its address and call;
2. so is one from ACS, after `DETAILED_PER_MINUTE` rows of its reason in one minute, or while
   `MOST_DETAILED` rows wait, because the database is away;
3. while `MOST_ROWS` wait, one row per reason counts everything that comes, over many minutes.

Rows have absolute counts and keep their id, so that writing one again is harmless.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import NamedTuple, Protocol
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct

MINUTE_SECONDS = 60.0
DETAILED_PER_MINUTE = 500
MOST_DETAILED, MOST_ROWS = 4_000, 5_000
LINE_BYTES = 4096
"""A pipe takes this much or nothing: PIPE_BUF. A row has at most 1,500 bytes."""


class Origin(NamedTuple):
    """The client of a refused handshake; "" for what is not known."""

    address: str = ""
    call_connection_id: str = ""
    correlation_id: str = ""


NOBODY = Origin()


class RefusedRow(Struct, frozen=True):
    """A row. `revision` is that of its newest refusal: it grows over all rows of the process.
    Times: Unix time in seconds.
    """

    id: UUID
    revision: int
    reason: str
    from_acs: bool
    origin: Origin
    first_at: float
    last_at: float
    count: int


class RefusedSource(Protocol):
    """Rows that wait to be written. All methods may be called in any thread."""

    def unwritten(self, after: int = 0) -> list[RefusedRow]:
        """Returns the rows with refusals after this revision, by revision."""
        ...

    def confirm(self, revision: int) -> None:
        """Forgets rows up to this revision: they have been written."""


class _Key(NamedTuple):
    minute: int | None  # None: of many minutes
    reason: str
    from_acs: bool
    origin: Origin


class RefusedHandshakes:
    """The rows of a process that refuses. `process` names it in the ids of its rows."""

    def __init__(self, process: UUID) -> None:
        self._process = process
        self._rows: OrderedDict[_Key, RefusedRow] = OrderedDict()  # by revision
        self._detailed: Counter[str] = Counter()  # rows of this minute by reason
        self._minute = 0
        self._made = self._revision = self._confirmed = 0
        self._lock = Lock()

    def add(self, reason: str, *, from_acs: bool, origin: Origin, now: float) -> None:
        """Counts one refusal. `now`: Unix time in seconds."""
        with self._lock:
            minute = int(now // MINUTE_SECONDS)
            if minute != self._minute:
                self._minute = minute
                self._detailed.clear()
            key = self._key_of(_Key(minute, reason, from_acs, origin if from_acs else NOBODY))
            self._revision += 1
            row = self._rows.get(key) or self._new_row(key, now)
            self._rows[key] = msgspec.structs.replace(
                row, revision=self._revision, count=row.count + 1, last_at=max(now, row.last_at)
            )
            self._rows.move_to_end(key)

    def unwritten(self, after: int = 0) -> list[RefusedRow]:
        found = []
        with self._lock:
            for row in reversed(self._rows.values()):
                if row.revision <= max(after, self._confirmed):
                    break
                found.append(row)
        found.reverse()
        return found

    def confirm(self, revision: int) -> None:
        """Forgets rows that are written, except those of this minute, which may still grow."""
        with self._lock:
            self._confirmed = max(self._confirmed, revision)
            for key, row in list(self._rows.items()):
                if row.revision > self._confirmed:
                    break
                if key.minute != self._minute:
                    del self._rows[key]

    def _key_of(self, key: _Key) -> _Key:
        """Returns the key of the row that counts this refusal: this one, or a coarser one."""
        if key in self._rows:
            return key
        if key.origin != NOBODY:
            is_over = self._detailed[key.reason] >= DETAILED_PER_MINUTE
            if not is_over and len(self._rows) < MOST_DETAILED:
                self._detailed[key.reason] += 1
                return key
            return self._key_of(key._replace(origin=NOBODY))
        return key if len(self._rows) < MOST_ROWS else key._replace(minute=None)

    def _new_row(self, key: _Key, now: float) -> RefusedRow:
        self._made += 1
        made_id = uuid5(self._process, f"refusal {self._made}")
        return RefusedRow(made_id, 0, key.reason, key.from_acs, key.origin, now, now, 0)


class ReceivedRows:
    """The rows of another process that are not written yet. The sender bounds their number."""

    def __init__(self) -> None:
        self._rows: dict[UUID, RefusedRow] = {}
        self._lock = Lock()
        self.written = 0
        """Every row that was received up to this revision has been written."""

    def receive(self, rows: Iterable[RefusedRow]) -> None:
        with self._lock:
            self._rows.update((row.id, row) for row in rows)

    def unwritten(self, after: int = 0) -> list[RefusedRow]:
        with self._lock:
            found = [row for row in self._rows.values() if row.revision > after]
        return sorted(found, key=lambda row: row.revision)

    def confirm(self, revision: int) -> None:
        with self._lock:
            self.written = max(self.written, revision)
            for row in list(self._rows.values()):
                if row.revision <= revision:
                    del self._rows[row.id]


def lines_of(rows: Iterable[RefusedRow]) -> Iterator[tuple[bytes, int]]:
    """Yields lines of at most `LINE_BYTES`, each with the revision of its last row."""
    encoded: list[bytes] = []
    revision = size = 0
    for row in rows:
        one = msgspec.json.encode(row)
        if encoded and size + len(one) + len(encoded) + 3 > LINE_BYTES:
            yield _line(encoded), revision
            encoded, size = [], 0
        encoded.append(one)
        revision, size = row.revision, size + len(one)
    if encoded:
        yield _line(encoded), revision


def rows_in(line: bytes) -> list[RefusedRow]:
    """Decodes a line of `lines_of`."""
    return msgspec.json.decode(line, type=list[RefusedRow])


def _line(encoded: list[bytes]) -> bytes:
    return b"[" + b",".join(encoded) + b"]\n"
