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
    AUDIO_HEAD,
    AUDIO_KIND,
    CRC,
    MAGIC,
    MARKER,
    NO_TIMESTAMP,
    SILENT_FLAG,
    Alarm,
    Audio,
    ClockStep,
    Closed,
    Counts,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Unwritten,
    Voice,
    encode,
    parse,
)


class JournalUnwritable(Exception):
    """The record was not written: disk full, gone or read-only. Earlier records are intact."""


class Journal:
    """Writes the journal of one stream. Raises `JournalUnwritable`; the file then ends with the
    last whole record.
    """

    def __init__(self, folder: Path, handshake: Handshake) -> None:
        self._folder = folder
        self._handshake = handshake
        # current metadata and voices, by (kind, index)
        self._preamble: dict[tuple[int, int], bytes] = {}
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
        """The hot path: writes the packets of one read of the socket in one system call, all or
        none.
        """
        pieces: list[bytes] = []
        for packet in packets:
            pcm = packet.pcm
            head = AUDIO_HEAD.pack(
                MARKER,
                AUDIO_KIND,
                SILENT_FLAG if packet.silent else 0,
                len(pcm) + 18,
                NO_TIMESTAMP if packet.timestamp_us is None else packet.timestamp_us,
                packet.arrived_us,
                packet.voice,
            )
            pieces += (head, pcm, CRC.pack(crc32(pcm, crc32(head))))
        self._write(b"".join(pieces))

    def append(
        self, record: Metadata | Voice | Dtmf | Counts | Closed | Unwritten | Alarm | ClockStep
    ) -> None:
        """Writes any other record. Metadata and voices are repeated in the following files."""
        body = encode(record)
        self._write(body)
        if isinstance(record, Metadata):
            self._preamble[2, 0] = body
        elif isinstance(record, Voice):
            self._preamble[3, record.index] = body

    def rotate(self) -> int:
        """Finishes the current file and continues in the next; returns the finished file's
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
        """Finishes the last file; returns its descriptor, still open: the syncer closes it."""
        _finish_file(self._path(".open"))
        return self.descriptor

    def _open_next(self) -> int:
        path = self._path(".open")
        preamble = MAGIC + encode(msgspec.structs.replace(self._handshake, sequence=self.sequence))
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
            written, reason = 0, error.strerror or "unknown error"
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
        if written != len(content):  # the disk is full: cut off the torn record
            # if that fails, readers report the damage and find the next record by its marker
            with suppress(OSError):
                os.ftruncate(self.descriptor, self._size)
            raise JournalUnwritable("cannot append to a journal: No space left on device")
        self._size += written
        self.bytes_written += written

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._handshake.stream_id}.{self.sequence:06d}{suffix}"


def _finish_file(path: Path) -> None:
    """Renames the file; in a folder that is not writable it stays `.open` and is sealed after this
    process has ended.
    """
    with suppress(OSError):
        path.rename(path.with_suffix(".journal"))


def read(path: Path) -> Iterator[Record]:
    """Yields the records of a file, with a `Damage` for bytes that are not records. Content never
    makes it raise.
    """
    yield from parse(path.read_bytes())
