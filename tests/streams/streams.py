"""Streams with journals in a folder of their own, messages for them, and readers of
their journals.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from calls import identity
from streams.acs.messages import ACS
from streams.ingest.stream import Stream
from streams.journal import files, records
from streams.journal.files import Journal, JournalUnwritable
from streams.journal.records import Handshake, Record
from streams.simulator import wire
from streams.simulator.scenario.schedule import AudioFormat

ALICE = "4:+15551234567"
BOB = "8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-c5f0-6a4f-8b23-3a3a0d00a1b2"
START_US = 1_664_824_572_925_000
PACKET = bytes(range(256)) * 2 + bytes(128)
"""640 bytes: 20 ms at 16 kHz."""


def metadata(rate: int = 16_000, subscription: str = "sub-1", encoding: str = "PCM") -> str:
    return wire.audio_metadata(subscription, AudioFormat(rate, rate // 25, encoding))


def audio(
    raw_id: str = ALICE, pcm: bytes = PACKET, *, at: int = 0, silent: bool | None = False
) -> str:
    """Returns packet `at`, counted from 0, of a participant who speaks without a pause."""
    return wire.audio_data(START_US + at * 20_000, raw_id, pcm, silent=silent)


def dtmf(tone: str = "5") -> str:
    return wire.dtmf_data(tone)


class Clock:
    """Microseconds since the epoch; every reading advances it by one."""

    def __init__(self) -> None:
        self.now = START_US

    def __call__(self) -> int:
        self.now += 1
        return self.now


class FragileJournal(Journal):
    """A journal on a disk that is full while `full` is set."""

    full = False

    def _write(self, content: bytes) -> None:
        if self.full:
            raise JournalUnwritable("cannot append to a journal: No space left on device")
        super()._write(content)

    def _open_next(self) -> int:
        if self.full:
            raise JournalUnwritable("cannot create a journal: No space left on device")
        return super()._open_next()


def handshake(connection: str = "connection", *, connected_at_us: int = START_US) -> Handshake:
    stream_id = uuid4()
    return Handshake(
        stream_id=str(stream_id),
        call_id=str(identity.call_id_of(connection, stream_id)),
        call_connection_id=connection,
        correlation_id="correlation",
        connected_at_us=connected_at_us,
        segment_seconds=10.0,
    )


def open_stream(
    folder: Path,
    connection: str = "connection",
    *,
    clock: Callable[[], int] | None = None,
    connected_at_us: int = START_US,
) -> Stream:
    opening = handshake(connection, connected_at_us=connected_at_us)
    return Stream(FragileJournal(folder, opening), opening, ACS, clock or Clock())


def fill_disk(stream: Stream, *, full: bool = True) -> None:
    assert isinstance(stream.journal, FragileJournal), (
        "the streams of these tests have fragile journals"
    )
    stream.journal.full = full


def close(stream: Stream, code: int | None = 1000) -> None:
    """Closes the stream like a recorder, and its file like a syncer."""
    os.close(stream.close(code))


def records_in(folder: Path) -> list[Record]:
    """Returns all records of all files, in order."""
    return [record for path in sorted(folder.rglob("*.*")) for record in read(path)]


def read(path: Path) -> list[Record]:
    return list(files.read(path)) if path.suffix in {".open", ".journal"} else []


def pcm_in(folder: Path) -> dict[str, bytes]:
    """Returns PCM by raw id from the journals; packets without a known voice are skipped."""
    voices: dict[int, str] = {}
    pcm_by_raw_id: dict[str, bytes] = {}
    for record in records_in(folder):
        if isinstance(record, records.Voice):
            voices[record.index] = record.raw_id
        elif isinstance(record, records.Audio) and record.voice in voices:
            pcm_by_raw_id[voices[record.voice]] = (
                pcm_by_raw_id.get(voices[record.voice], b"") + record.pcm
            )
    return pcm_by_raw_id


def participant_id(raw_id: str, connection: str = "connection") -> str:
    call_id: UUID = identity.call_id_of(connection, UUID(int=0))
    return str(identity.participant_id_of(call_id, raw_id))
