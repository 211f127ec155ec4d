"""Journals of the recorder as a script: the messages that ACS once sent, at their times of
arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from streams.journal import files
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
from streams.simulator.errors import UnusableCapture
from streams.simulator.scenario.packets import PACKETS_PER_SECOND
from streams.simulator.scenario.schedule import (
    Announce,
    AudioFormat,
    Disconnect,
    Event,
    Press,
    Reconnect,
    Say,
    ScriptedVoice,
)


class CapturedSound:
    """Packets as they were captured, of any length."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    @property
    def packet_count(self) -> int:
        return len(self._packets)

    def packet(self, number: int) -> bytes:
        return self._packets[number]

    def append(self, pcm: bytes) -> int:
        """Adds a packet and returns its number."""
        self._packets.append(pcm)
        return len(self._packets) - 1


@dataclass(frozen=True)
class Capture:
    """One captured call. Its timestamps are those of the capture; with `restamped_us` they are
    moved so that the earliest is that one. `damaged_bytes` of the files could not be read.
    """

    voices: tuple[ScriptedVoice, ...]
    metadata: AudioFormat
    captured: tuple[Event, ...]
    damaged_bytes: int = 0
    restamped_us: int | None = None

    def events(self, started_us: int) -> Iterator[Event]:
        """Yields the events as captured; the start of the run does not matter here."""
        stamps = [
            event.timestamp_us
            for event in self.captured
            if isinstance(event, Say) and event.timestamp_us
        ]
        shift = 0 if self.restamped_us is None or not stamps else self.restamped_us - min(stamps)
        for event in self.captured:
            if isinstance(event, Say) and event.timestamp_us is not None:
                yield replace(event, timestamp_us=event.timestamp_us + shift)
            else:
                yield event


def read_capture(paths: Sequence[Path], restamped_us: int | None = None) -> Capture:
    """Reads the journals of one call, in any order: all files of its sockets, one socket after the
    other.

    The capture is held in memory: 115 MB for an hour of one participant. Raises `UnusableCapture`
    for a file that cannot be read and for files without a packet.
    """
    journals = []
    for path in paths:
        try:
            records = list(files.read(path))
        except OSError as error:
            raise UnusableCapture(f"{path}: {error.strerror}") from error
        front = records[0] if records else None
        if not isinstance(front, Handshake):
            raise UnusableCapture(f"{path}: not a journal, or damaged at its front")
        journals.append((front.connected_at_us, front.stream_id, front.sequence, records))
    reading = _Reading()
    for *_, records in sorted(journals, key=lambda journal: journal[:3]):
        for record in records:
            reading.add(record)
    if not any(isinstance(event, Say) for event in reading.events):
        raise UnusableCapture(f"{', '.join(map(str, paths))}: no audio in it")
    return reading.capture(restamped_us)


@dataclass
class _Reading:
    """Collects events with absolute times; `capture` moves them to the start of the call."""

    events: list[Event] = field(default_factory=list)
    _voices: dict[str, CapturedSound] = field(default_factory=dict)  # by raw id, first heard first
    _raw_ids: dict[int, str] = field(default_factory=dict)  # of the current socket
    _first: AudioFormat | None = None
    _in_force: AudioFormat | None = None
    _announced: int = -1
    _stream_id: str = ""
    _closed_us: int | None = None
    _newest_us: int = 0
    _damaged: int = 0

    def add(self, record: Record) -> None:
        match record:
            case Handshake():
                self._handshake(record)
            case Metadata():
                self._metadata(record)
            case Voice():
                self._raw_ids[record.index] = record.raw_id
                self._voices.setdefault(record.raw_id, CapturedSound())
            case Audio():
                raw_id = self._raw_ids.get(record.voice)
                if raw_id is None:  # the record that names the voice is damaged
                    self._damaged += len(record.pcm)
                    return
                voice = list(self._voices).index(raw_id)
                number = self._voices[raw_id].append(record.pcm)
                at_us = self._moment(record.arrived_us)
                say = Say(at_us, record.timestamp_us, voice, number, silent=record.silent)
                self.events.append(say)
            case Dtmf():
                self.events.append(Press(self._moment(record.arrived_us), record.tone))
            case Closed():
                self._closed_us = record.at_us
            case Damage():
                self._damaged += record.end - record.start
            case Counts():
                pass  # the other records contain all of it

    def capture(self, restamped_us: int | None) -> Capture:
        start_us = self.events[0].at_us
        voices = tuple(ScriptedVoice(raw_id, packets) for raw_id, packets in self._voices.items())
        events = tuple(replace(event, at_us=event.at_us - start_us) for event in self.events)
        metadata = self._first
        if metadata is None:  # the front is lost: the packet size shows the format
            sizes = [len(voice.sound.packet(0)) for voice in voices if voice.sound.packet_count]
            size = max(sizes, default=0) or 640
            metadata = AudioFormat(size * PACKETS_PER_SECOND // 2, size)
        return Capture(voices, metadata, events, self._damaged, restamped_us)

    def _handshake(self, record: Handshake) -> None:
        if record.stream_id == self._stream_id:
            return  # the next file of the same socket
        if self._stream_id:
            self.events.append(
                Disconnect(self._moment(min(self._closed_us or 0, record.connected_at_us)))
            )
            self.events.append(Reconnect(self._moment(record.connected_at_us)))
        self._stream_id, self._announced, self._closed_us = record.stream_id, -1, None
        self._raw_ids.clear()

    def _metadata(self, record: Metadata) -> None:
        if record.index <= self._announced:
            return  # repeated at the front of the next file
        self._announced = record.index
        announced = AudioFormat(record.sample_rate, record.length, record.encoding, record.channels)
        if self._first is None:
            self._first = announced  # every socket begins with metadata
        elif record.index > 0 or announced != self._in_force:
            self.events.append(Announce(self._moment(record.at_us), announced))
        self._in_force = announced

    def _moment(self, at_us: int) -> int:
        """Returns `at_us`, or the latest time so far: the recording host's clock may have been
        set back.
        """
        self._newest_us = max(self._newest_us, at_us)
        return self._newest_us
