"""Journal files: appended to while a stream is open, read when it is sealed or replayed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec

from streams.journal.records import (
    _AUDIO,
    _AUDIO_HEAD,
    _CRC,
    _NO_TIMESTAMP,
    _SILENT,
    MAGIC,
    MARKER,
    Alarm,
    Audio,
    Closed,
    Counts,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Unwritten,
    Voice,
    _record,
    parse,
)


class JournalUnwritable(Exception):
    """The record is not in the journal: the disk is full, gone or read-only. What was there before
    is whole.
    """


class Journal:
    """Writes the journal of one stream. Raises `JournalUnwritable`; the file then ends with the
    last whole record.
    """

    def __init__(self, folder: Path, handshake: Handshake) -> None:
        self._folder = folder
        self._handshake = handshake
        self._preamble: dict[
            tuple[int, int], bytes
        ] = {}  # metadata in force and voices, by (kind, index)
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
        """The hot path: packets of one read of the socket, one system call. All of them are in the
        journal, or none.
        """
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
        """Finishes the current file and goes on in the next; returns the finished file's
        descriptor, still open.
        """
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
        """Finishes the last file; returns its descriptor, still open: whoever syncs it closes
        it.
        """
        _finish_file(self._path(".open"))
        return self.descriptor

    def _open_next(self) -> int:
        path = self._path(".open")
        preamble = MAGIC + _record(msgspec.structs.replace(self._handshake, sequence=self.sequence))
        preamble += b"".join(self._preamble[key] for key in sorted(self._preamble))
        try:
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
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
        if written != len(
            content
        ):  # the disk is full: take the piece away, that nothing is behind a torn record
            with suppress(
                OSError
            ):  # a reader finds what follows by its marker, and says what is torn
                os.ftruncate(self.descriptor, self._size)
            raise JournalUnwritable("cannot append to a journal: No space left on device")
        self._size += written
        self.bytes_written += written

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._handshake.stream_id}.{self.sequence:06d}{suffix}"


def _finish_file(path: Path) -> None:
    """Renames; a folder that cannot be written leaves it `.open`, which is sealed when this process
    has ended.
    """
    with suppress(OSError):
        path.rename(path.with_suffix(".journal"))


def read(path: Path) -> Iterator[Record]:
    """The records of a file, with a `Damage` wherever bytes are none. Never raises for what the
    file holds.
    """
    yield from parse(path.read_bytes())
