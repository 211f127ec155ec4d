"""The journal: one append-only file per stream, rotated; every message that counts is in it before anything else.

A file is a magic word and records. A record is

    marker "\\xacJ" | kind (1 byte) | flags (1) | length of body (4, little-endian) | body | CRC-32 (4) of all before

so a torn tail is recognised, and after a damaged record the next good one is found by its marker. Audio has a binary
body: timestamp in µs (8), arrival in µs (8), voice (2), PCM; all other records are JSON. Every file repeats the
handshake, the metadata in force and the voices, so each can be read alone; it is also the capture format that
`manage.py simulate --replay` sends again and `manage.py journal` prints.

While it is written a file is called `<stream>.<sequence>.open`, and `.journal` when it is finished: what is on disk
tells what is to do. Packets of one read of the socket are one unbuffered `write` (2 to 4 µs): what was appended
survives the process.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

MAGIC = b"ACSJRNL1"
MARKER = b"\xacJ"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Longest body that a reader believes; the media socket accepts far smaller messages."""

_HEAD = struct.Struct("<2sBBI")
_AUDIO_HEAD = struct.Struct("<2sBBIqqH")
_AUDIO_BODY = struct.Struct("<qqH")
_CRC = struct.Struct("<I")
_CRC_OF_WHOLE = crc32(_CRC.pack(crc32(b"")))
"""What the CRC-32 of anything with its own CRC-32 behind it always is."""
_SILENT = 1
_NO_TIMESTAMP = -(2**63)


class Handshake(Struct, frozen=True):
    """The socket: ids as text UUIDs, ACS's ids from the headers, when it was accepted, which file of it this is."""

    stream_id: str
    call_id: str
    call_connection_id: str
    correlation_id: str
    connected_at_us: int
    segment_seconds: float
    sequence: int = 0


class Metadata(Struct, frozen=True):
    """The `index`-th AudioMetadata of the socket; index 0 may be inferred from packets that came before any."""

    index: int
    at_us: int
    subscription_id: str
    encoding: str
    sample_rate: int
    channels: int
    length: float | None


class Voice(Struct, frozen=True):
    """Audio records say `voice` instead of the raw id."""

    index: int
    raw_id: str


class Audio(Struct, frozen=True, gc=False):
    """One packet as it arrived; `timestamp_us` None where the message had none. A silent packet may have no PCM."""

    timestamp_us: int | None
    arrived_us: int
    voice: int
    silent: bool
    pcm: bytes


class Dtmf(Struct, frozen=True):
    arrived_us: int
    tone: str


class Counts(Struct, frozen=True):
    """Messages of the subscription `index` so far; `reasons` counts what was malformed by reason, bounded."""

    index: int
    audio: int
    dtmf: int
    unknown: int
    malformed: int
    reasons: dict[str, int]


class Closed(Struct, frozen=True):
    """The socket has closed: WebSocket close code, and our own reason where we closed it."""

    at_us: int
    code: int | None
    reason: str = ""


class Unwritten(Struct, frozen=True):
    """Packets that this journal did not take, the disk being full, gone or read-only; written when it takes again.

    `first_us` and `last_us` are their timestamps; of packets without one, when they arrived.
    """

    first_us: int
    last_us: int
    packets: int


class Alarm(Struct, frozen=True):
    """Something was wrong with the stream, or with one voice of it (`streams.alarms` has the names).

    Written when it is raised, with `until_us` None, and again when it is over; one without an end lasted to the end of
    the stream.
    """

    name: str
    voice: int | None
    since_us: int
    until_us: int | None = None


class Damage(Struct, frozen=True):
    """Only read, never written: bytes `start` to `end` of the file are no records. `torn`: they are its tail."""

    start: int
    end: int
    torn: bool


Record = Handshake | Metadata | Voice | Audio | Dtmf | Counts | Closed | Unwritten | Alarm | Damage

_AUDIO = 4
_JSON_KINDS: dict[int, type[Struct]] = {
    1: Handshake,
    2: Metadata,
    3: Voice,
    5: Dtmf,
    6: Counts,
    7: Closed,
    8: Unwritten,
    9: Alarm,
}
_KIND_OF: dict[type[Struct], int] = {shape: kind for kind, shape in _JSON_KINDS.items()}
_encode = msgspec.json.Encoder().encode
_decoders: dict[int, Any] = {kind: msgspec.json.Decoder(shape) for kind, shape in _JSON_KINDS.items()}


class JournalUnwritable(Exception):
    """The record is not in the journal: the disk is full, gone or read-only. What was there before is whole."""


class Journal:
    """Writes the journal of one stream. Raises `JournalUnwritable`; the file then ends with the last whole record."""

    def __init__(self, folder: Path, handshake: Handshake) -> None:
        self._folder = folder
        self._handshake = handshake
        self._preamble: dict[tuple[int, int], bytes] = {}  # metadata in force and voices, by (kind, index)
        self.sequence = handshake.sequence
        self.bytes_written = 0
        self.descriptor = self._open_next()

    @property
    def has_audio(self) -> bool:
        """Whether the current file holds more than its preamble."""
        return self._size > self._preamble_size

    @property
    def size(self) -> int:
        """Bytes in the current file."""
        return self._size

    def append_audio(self, packets: Iterable[Audio]) -> None:
        """The hot path: packets of one read of the socket, one system call. All of them are in the journal, or none."""
        pieces: list[bytes] = []
        for packet in packets:
            pcm = packet.pcm
            head = _AUDIO_HEAD.pack(
                MARKER,
                _AUDIO,
                _SILENT if packet.silent else 0,
                len(pcm) + 18,
                _NO_TIMESTAMP if packet.timestamp_us is None else packet.timestamp_us,
                packet.arrived_us,
                packet.voice,
            )
            pieces += (head, pcm, _CRC.pack(crc32(pcm, crc32(head))))
        self._write(b"".join(pieces))

    def append(self, record: Metadata | Voice | Dtmf | Counts | Closed | Unwritten | Alarm) -> None:
        """Any other record. Metadata and voices are repeated in the files that follow."""
        body = _record(record)
        self._write(body)
        if isinstance(record, Metadata):
            self._preamble[2, 0] = body
        elif isinstance(record, Voice):
            self._preamble[3, record.index] = body

    def rotate(self) -> int:
        """Finishes the current file and goes on in the next; returns the finished file's descriptor, still open."""
        finished, path = self.descriptor, self._path(".open")
        self.sequence += 1
        try:
            self.descriptor = self._open_next()
        except JournalUnwritable:
            self.sequence -= 1
            raise
        _finish_file(path)
        return finished

    def finish(self) -> int:
        """Finishes the last file; returns its descriptor, still open: whoever syncs it closes it."""
        _finish_file(self._path(".open"))
        return self.descriptor

    def _open_next(self) -> int:
        path = self._path(".open")
        preamble = MAGIC + _record(msgspec.structs.replace(self._handshake, sequence=self.sequence))
        preamble += b"".join(self._preamble[key] for key in sorted(self._preamble))
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalUnwritable(f"cannot create a journal: {error.strerror}") from error
        try:
            written, reason = os.write(descriptor, preamble), os.strerror(errno.ENOSPC)
        except OSError as error:
            written, reason = 0, error.strerror or "no reason given"
        if written != len(preamble):
            os.close(descriptor)
            path.unlink()
            raise JournalUnwritable(f"cannot begin a journal: {reason}")
        self._size = self._preamble_size = len(preamble)
        return descriptor

    def _write(self, content: bytes) -> None:
        try:
            written = os.write(self.descriptor, content)
        except OSError as error:
            raise JournalUnwritable(f"cannot append to a journal: {error.strerror}") from error
        if written != len(content):  # the disk is full: take the piece away, that nothing is behind a torn record
            with suppress(OSError):  # a reader finds what follows by its marker, and says what is torn
                os.ftruncate(self.descriptor, self._size)
            raise JournalUnwritable("cannot append to a journal: No space left on device")
        self._size += written
        self.bytes_written += written

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._handshake.stream_id}.{self.sequence:06d}{suffix}"


def _finish_file(path: Path) -> None:
    """Renames; a folder that cannot be written leaves it `.open`, which is sealed when this process has ended."""
    with suppress(OSError):
        path.rename(path.with_suffix(".journal"))


def _record(record: Struct) -> bytes:
    body = _encode(record)
    head = _HEAD.pack(MARKER, _KIND_OF[type(record)], 0, len(body))
    return head + body + _CRC.pack(crc32(body, crc32(head)))


def read(path: Path) -> Iterator[Record]:
    """The records of a file, with a `Damage` wherever bytes are none. Never raises for what the file holds."""
    yield from parse(path.read_bytes())


def parse(content: bytes) -> Iterator[Record]:
    """The records of a file's content. PURE."""
    view = memoryview(content)
    place = len(MAGIC) if content.startswith(MAGIC) else 0
    while place < len(content):
        found = _packet_at(content, view, place) or _other_at(content, view, place)
        if found is None:
            resumed = _next_record(content, view, place + 1)
            yield Damage(place, len(content) if resumed is None else resumed, torn=resumed is None)
            if resumed is None:
                return
            place = resumed
            continue
        record, place = found
        if record is not None:
            yield record


def _packet_at(content: bytes, view: memoryview, place: int) -> tuple[Audio, int] | None:
    """The whole packet at `place` and where it ends, in few steps: nearly all records are packets."""
    if place + _AUDIO_HEAD.size > len(content):
        return None
    marker, kind, flags, length, timestamp, arrived_us, voice = _AUDIO_HEAD.unpack_from(content, place)
    end = place + _HEAD.size + length
    after = end + _CRC.size
    if kind != _AUDIO or marker != MARKER or after > len(content) or not _AUDIO_BODY.size <= length <= MAX_BODY_BYTES:
        return None
    if crc32(view[place:after]) != _CRC_OF_WHOLE:
        return None
    timestamp_us = None if timestamp == _NO_TIMESTAMP else timestamp
    pcm = content[place + _AUDIO_HEAD.size : end]
    return Audio(timestamp_us, arrived_us, voice, flags & _SILENT == _SILENT, pcm), after


def _other_at(content: bytes, view: memoryview, place: int) -> tuple[Record | None, int] | None:
    """The same for all other records; kinds of the future are None, and skipped."""
    if place + _HEAD.size > len(content):
        return None
    marker, kind, _, length = _HEAD.unpack_from(content, place)
    start, end = place + _HEAD.size, place + _HEAD.size + length
    after = end + _CRC.size
    if kind == _AUDIO or marker != MARKER or after > len(content) or length > MAX_BODY_BYTES:
        return None
    if crc32(view[place:after]) != _CRC_OF_WHOLE:
        return None
    try:
        decoder = _decoders.get(kind)
        return decoder.decode(content[start:end]) if decoder else None, after
    except msgspec.DecodeError:  # whole, but no record of ours: a kind whose body has changed
        return None


def _next_record(content: bytes, view: memoryview, place: int) -> int | None:
    """Where the next whole record begins."""
    while (place := content.find(MARKER, place)) >= 0:
        if _packet_at(content, view, place) or _other_at(content, view, place):
            return place
        place += 1
    return None
