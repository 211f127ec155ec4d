"""What the journals that are still being written tell of their calls, so that these are rows while
they go on.

A stream's first file is looked at again as it grows, until it holds a second or two: then everyone
has been heard. A later one begins with all that was known, and is looked at once; whoever speaks
first in it is a row when it is sealed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from streams.journal import records as journal
from streams.journal.backlog import size_of, stream_of
from streams.journal.records import Handshake, Metadata, Record, Voice
from streams.sealing import digest
from streams.sealing.digest import StreamState
from streams.sealing.rows import Announcement

ANNOUNCE_BYTES = 65_536
"""How much of a stream's first file is looked at."""


@dataclass(frozen=True, slots=True)
class JournalUpdate:
    """What a file tells; `announcement` is None where nothing of it is new."""

    name: str
    bytes_read: int
    facts: frozenset[Record]
    announcement: Announcement | None


class OpenJournals:
    """`list` what is open, `read` what has grown; `keep` what was told, so that it is not told
    again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}  # open files, by name, and how much of them was read
        self._told: dict[
            str, frozenset[Record]
        ] = {}  # open streams, and what was announced of them

    @property
    def ids(self) -> list[str]:
        return list(self._told)

    def list(self) -> None:
        names = sorted(name for name in os.listdir(self._folder) if name.endswith(".open"))  # noqa: PTH208
        self._read = {name: self._read.get(name, -1) for name in names}
        self._told = {
            stream_of(name): self._told.get(stream_of(name), frozenset()) for name in names
        }

    def grown(self) -> Iterator[str]:
        """Names of the files that hold more than was read; of those that have told everyone not
        even the size is asked.
        """
        for name, read in list(self._read.items()):
            if read < ANNOUNCE_BYTES and read < (size_of(self._folder / name) or -1):
                yield name

    def read(self, name: str) -> JournalUpdate | None:
        """None where the file is finished this moment: sealing it writes the rows."""
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(ANNOUNCE_BYTES)
        except FileNotFoundError:
            return None
        records = [
            record
            for record in journal.parse(content)
            if isinstance(record, Handshake | Metadata | Voice)
        ]
        handshake = digest.handshake_in(records)
        facts = frozenset(
            structs.replace(one, sequence=0) if isinstance(one, Handshake) else one
            for one in records
        )
        is_new = handshake is not None and not facts <= self._told.get(stream_of(name), frozenset())
        announcement = (
            _announcement(records, handshake) if handshake is not None and is_new else None
        )
        later = handshake is not None and handshake.sequence > 0
        return JournalUpdate(name, ANNOUNCE_BYTES if later else len(content), facts, announcement)

    def keep(self, news: JournalUpdate) -> None:
        self._read[news.name] = news.bytes_read
        if news.announcement:
            stream_id = stream_of(news.name)
            self._told[stream_id] = self._told.get(stream_id, frozenset()) | news.facts


def _announcement(records: Sequence[Record], handshake: Handshake) -> Announcement:
    state = StreamState()
    digest.digest(records, handshake, state, last=False)
    if (
        handshake.sequence > 0 and state.current > 0
    ):  # a later file repeats the metadata in force, not the first
        state.subscriptions.pop(0)
    return Announcement(handshake, list(state.subscriptions.values()), list(state.voices.values()))
