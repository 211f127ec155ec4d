"""Journals as a recorder writes them: a socket that speaks, rotates its file, closes, or dies.

socket = Socket(folder)
socket.say(speech(100))
socket.rotate()
socket.close()
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

from msgspec import structs

from calls import identity
from calls.identity import CallLink
from streams.journal import files as journal_files
from streams.journal.files import Journal
from streams.journal.records import (
    Audio,
    Closed,
    Counts,
    Damage,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Voice,
)
from tests.streams.packets import RATE, START_US, Sent

CONNECTION = "connection"


def handshake_of(
    connection: str = CONNECTION,
    *,
    connected_us: int = START_US,
    segment_seconds: float = 10.0,
    number: int = 0,
) -> Handshake:
    """Returns the handshake of a new socket of the call. `number`: ended calls before it."""
    stream_id = uuid4()
    link = CallLink(identity.call_id_of(connection, stream_id), number)
    return Handshake(
        str(stream_id),
        str(link.id),
        connection,
        "correlation",
        connected_us,
        segment_seconds,
        continued_from=str(link.continued_from or ""),
        continuation=number,
    )


def metadata_of(index: int = 0, rate: int = RATE, at_us: int = START_US) -> Metadata:
    return Metadata(index, at_us, f"subscription-{index}", "PCM", rate, 1, rate / 25)


def audio_of(packet: Sent, voice: int = 0) -> Audio:
    """Returns the packet's record; it arrives when it is spoken."""
    return Audio(packet.timestamp_us, packet.spoken_us, voice, silent=False, pcm=packet.pcm)


def records_of(packets: Iterable[Sent], metadata: Metadata | None = None) -> list[Record]:
    """Returns metadata, then each voice before its first packet, then its packets."""
    records: list[Record] = [metadata or metadata_of()]
    voices: dict[str, int] = {}
    for packet in packets:
        if packet.participant not in voices:
            voices[packet.participant] = len(voices)
            records.append(Voice(voices[packet.participant], packet.participant))
        records.append(audio_of(packet, voices[packet.participant]))
    return records


def files_of(
    records: Sequence[Record], cuts: Iterable[int], handshake: Handshake
) -> list[list[Record]]:
    """Splits the records into files that end at `cuts`; each repeats handshake, current metadata
    and voices.
    """
    places = [0, *sorted(cuts), len(records)]
    files = []
    for sequence, (start, end) in enumerate(pairwise(places)):
        before = records[:start]
        metadata = [record for record in before if isinstance(record, Metadata)][-1:]
        voices = [record for record in before if isinstance(record, Voice)]
        files.append(
            [structs.replace(handshake, sequence=sequence), *metadata, *voices, *records[start:end]]
        )
    return files


def flipped(content: bytes, bit: int) -> bytes:
    """Returns the content with one bit inverted."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


class Socket:
    """One media socket and its journal in `folder`. `announced`: metadata comes first."""

    def __init__(
        self,
        folder: Path,
        connection: str = CONNECTION,
        *,
        connected_us: int = START_US,
        segment_seconds: float = 10.0,
        metadata: Metadata | None = None,
        announced: bool = True,
        number: int = 0,
    ) -> None:
        self.folder = folder
        self.handshake = handshake_of(
            connection,
            connected_us=connected_us,
            segment_seconds=segment_seconds,
            number=number,
        )
        self.journal = Journal(folder, self.handshake)
        self._voices: dict[str, int] = {}
        self._newest_us = connected_us
        if announced:
            self.announce(metadata or metadata_of(at_us=connected_us))

    @property
    def stream_id(self) -> UUID:
        return UUID(self.handshake.stream_id)

    @property
    def call_id(self) -> UUID:
        return UUID(self.handshake.call_id)

    def announce(self, metadata: Metadata) -> None:
        self.journal.append(metadata)

    def say(self, packets: Iterable[Sent]) -> Socket:
        for packet in packets:
            if packet.participant not in self._voices:
                self._voices[packet.participant] = len(self._voices)
                self.journal.append(Voice(self._voices[packet.participant], packet.participant))
            voice, arrived_us = self._voices[packet.participant], packet.spoken_us
            self._newest_us = max(self._newest_us, arrived_us)
            self.journal.append_audio(
                [Audio(packet.timestamp_us, arrived_us, voice, silent=False, pcm=packet.pcm)]
            )
        return self

    def press(self, tone: str, at_us: int) -> None:
        self.journal.append(Dtmf(at_us, tone))

    def count(self, counts: Counts) -> None:
        self.journal.append(counts)

    def rotate(self) -> Path:
        """Continues in a new file; returns the finished one."""
        path = self.path(".journal")
        os.close(self.journal.rotate())
        return path

    def close(self, code: int | None = 1000, *, at_us: int | None = None) -> Path:
        """Closes normally, 20 ms after the last packet; returns the last file."""
        self.journal.append(Closed(at_us or self._newest_us + 20_000, code))
        return self.end()

    def end(self) -> Path:
        """Ends the file without a record of the close."""
        path = self.path(".journal")
        os.close(self.journal.finish())
        return path

    def die(self) -> Path:
        """Leaves the file as it is: the process is dead."""
        os.close(self.journal.descriptor)
        return self.path(".open")

    def path(self, suffix: str) -> Path:
        return self.folder / f"{self.handshake.stream_id}.{self.journal.sequence:06d}{suffix}"


def names_in(folder: Path) -> list[str]:
    """Returns the names of journal files without the id of their stream, in order."""
    return sorted(
        path.name.partition(".")[2]
        for path in folder.iterdir()
        if path.suffix in {".open", ".journal"}
    )


def intact(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if not isinstance(record, Damage)]


def damage_in(records: Iterable[Record]) -> list[Damage]:
    return [record for record in records if isinstance(record, Damage)]


def read(path: Path) -> list[Record]:
    return list(journal_files.read(path))
