"""One open media socket: appends its messages to a journal, meters and counts them.

The journal is its only I/O. `receive` is the path of every packet: decode, one `write` per read of
the socket, keep the bytes for the meter. It never awaits, queries no database and hops to no
thread.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from msgspec import structs

from calls import identity
from calls.audio.levels import NOTHING
from streams.ingest.meter import Meter
from streams.ingest.packets import (
    ODD_TIMESTAMP,
    AudioData,
    AudioMetadata,
    DtmfData,
    Malformed,
    Sender,
    Skipped,
    Unknown,
    UnsupportedAudio,
)
from streams.journal.files import Journal, JournalUnwritable
from streams.journal.records import (
    Alarm,
    Audio,
    ClockStep,
    Closed,
    Counts,
    Dtmf,
    Handshake,
    Metadata,
    Unwritten,
    Voice,
)

MAX_VOICES = 512
"""Participants per socket. ACS sends at most four at a time; a call may have some hundreds over its
life.
"""

MAX_SUBSCRIPTIONS = 256
"""AudioMetadata per socket; each is a row. Restarting the stream every minute reaches it after four
hours.
"""

MAX_DEFERRED = 2_048
"""Records kept while the disk is not writable; further ones are lost, and counted."""

MAX_REASONS = 32
"""Distinct reasons counted for malformed messages, and for oddities; they are fixed phrases, so
this is never reached.
"""

NO_MEDIA_MESSAGES = 1_000
"""Messages after which a connection is closed if all were unknown or malformed (20 s of one
participant).
"""


class NoMedia(Exception):
    """Only unknown and malformed messages have arrived."""


@dataclass(slots=True)
class Speaker:
    """State of one participant on the socket.

    The fields from `audible` on belong to the board and the alarm monitor (`streams.live`).
    """

    index: int
    raw_id: str
    participant_id: str
    meter: Meter
    samples: int = 0  # at the meter's rate
    newest: Audio | None = None  # packet in the journal, at the meter's rate
    seconds_before: float = 0.0  # received before the current sample rate
    audible: bool = False  # whether the board's last published level was above silence
    quiet_ticks: int = 0  # ticks of the board without a packet
    # loudest rms of the windows measured since the last evaluation of the alarm rules
    loudest_dbfs: float = NOTHING
    clipped: int = 0  # number of clipped windows among these
    # `calls.live.messages.step_of` of each second
    minute: deque[str] = field(default_factory=lambda: deque(maxlen=60))

    @property
    def seconds(self) -> float:
        return self.seconds_before + self.samples / self.meter.sample_rate

    def change_rate(self, sample_rate: int) -> None:
        """Starts a new meter at `sample_rate`."""
        self.seconds_before, self.samples, self.newest = self.seconds, 0, None
        self.meter = Meter(sample_rate)


def microseconds_now() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class Tally:
    """Number of messages of the socket, by outcome."""

    audio: int = 0
    dtmf: int = 0
    metadata: int = 0
    unknown: int = 0
    malformed: int = 0
    other: int = 0
    odd_bytes: int = 0
    odd_timestamp: int = 0  # packets recorded without their timestamp, which cannot be read
    unwritten: int = 0  # valid messages lost because the disk was not writable
    reasons: Counter[str] = field(default_factory=Counter)  # of malformed messages
    oddities: Counter[str] = field(default_factory=Counter)  # of recorded packets


_NonAudio = Metadata | Voice | Dtmf | Counts | Closed | Unwritten | Alarm | ClockStep


class Stream:
    """Records one media socket: `receive` its messages, `rotate` its journal, `close` it once."""

    def __init__(
        self,
        journal: Journal,
        handshake: Handshake,
        sender: Sender,
        clock: Callable[[], int] = microseconds_now,
    ) -> None:
        self.handshake = handshake
        self.is_canary = identity.is_canary(handshake.call_connection_id)
        self.journal = journal
        self.speakers: dict[str, Speaker] = {}
        self.metadata: list[Metadata] = []
        self.tally = Tally()
        self.closed: Closed | None = None
        self._decode = sender.decode
        self.rates = sender.rates
        self._clock = clock
        # totals at the start of the current subscription
        self._counts_before = Counts(0, 0, 0, 0, 0, {})
        self._finished_counts: list[Counts] = []  # one per finished subscription
        self._received: list[tuple[Speaker, Audio]] = []  # packets of the current read
        self._deferred: deque[_NonAudio] = deque()
        # packets copied for listeners (`streams.live.audio_tap`); None without listeners
        self.tapped: deque[tuple[Speaker, Audio]] | None = None
        self.changed = True  # the call's facts changed since the last tick (`streams.live.board`)
        self.host_step_us = 0  # by how much the host's clock is off the clock of the call

    def receive(self, *messages: str | bytes) -> None:
        """Accepts the WebSocket messages of one read; when it returns or raises, they are in the
        journal.

        Raises `UnsupportedAudio` and `NoMedia`: the socket must be closed, and the messages after
        that one are ignored.
        """
        try:
            for message in messages:
                self._receive_one(message)
        finally:
            self._write_received()

    def _receive_one(self, message: str | bytes) -> None:
        try:
            decode = self._decode  # called as a method it costs each packet 0.2 µs (CPython 3.11)
            decoded = decode(message)
            if type(decoded) is AudioData:
                speaker = self.speakers.get(decoded.participant)
                if speaker is None:
                    speaker = self._add_speaker(decoded)
                at_us, pcm = self._clock(), decoded.pcm
                audio = Audio(decoded.timestamp_us, at_us, speaker.index, decoded.silent, pcm)
                self._received.append((speaker, audio))
                if decoded.odd_byte or decoded.oddities:
                    self._count_oddities(decoded)
                return
            self._write_received()  # metadata applies to later packets only
            if type(decoded) is AudioMetadata:
                self._subscribe(decoded)
                self.tally.metadata += 1
            elif type(decoded) is DtmfData:
                self.tally.dtmf += 1
                self._append(Dtmf(self._clock(), decoded.tone))
            else:
                self.tally.other += 1
        except Skipped as skipped:
            self._skip(skipped)

    def note(self, alarm: Alarm) -> None:
        """Appends an alarm of this stream, raised or cleared; deferred, like all but audio, while
        the disk is not writable.
        """
        self._append(alarm)

    def note_step(self, by_us: int) -> None:
        """Appends a step of the host's clock."""
        self.host_step_us += by_us
        self._append(ClockStep(self._clock(), by_us))

    def now_us(self) -> int:
        """Returns the time on the clock of the call."""
        return self._clock()

    def rotate(self) -> int | None:
        """Continues in a new file if the current one has audio; returns the finished file's
        descriptor, for the syncer.
        """
        if not self.journal.has_audio:
            return None
        self._append(self._counts())
        return self.journal.rotate()

    def close(self, code: int | None, reason: str = "") -> int:
        """Writes the last records; returns the descriptor of the finished file, to be synced and
        closed. Called once.
        """
        assert self.closed is None, "a socket closes once"
        self.closed = Closed(self._clock(), code, reason)
        self.changed = True
        self._append(self._counts())
        self._append(self.closed)
        finished = self.journal.finish()
        # the number may be reused by another file, which no message after the end may reach
        self.journal.descriptor = -1
        return finished

    def counts(self) -> list[Counts]:
        """Returns the counts of each subscription in order, the current one last."""
        return [*self._finished_counts, self._counts()]

    def _write_received(self) -> None:
        """Writes the packets of the current read; they are metered and tapped only once they are in
        the journal.
        """
        if not self._received:
            return
        received, self._received = self._received, []
        try:
            if self._deferred:
                self._flush_deferred()
            self.journal.append_audio([audio for _, audio in received])
        except JournalUnwritable:
            self.tally.unwritten += len(received)
            for _, audio in received:
                self._defer_packet(audio)
            return
        self.tally.audio += len(received)
        for speaker, audio in received:
            speaker.samples += len(audio.pcm) // 2
            speaker.newest = audio
            speaker.meter.add(audio.pcm)
        if self.tapped is not None:
            self.tapped.extend(received)

    def _add_speaker(self, packet: AudioData) -> Speaker:
        self._write_received()
        if len(self.speakers) >= MAX_VOICES:
            raise Malformed("audioData: participantRawID: too many participants")
        if not self.metadata:  # a documented packet size shows the rate: the audio is not lost
            sample_rate = self.rates.get(len(packet.pcm))
            if sample_rate is None:
                raise Malformed("audioData: audio before metadata")
            self._subscribe(AudioMetadata("", "PCM", sample_rate, 1, float(len(packet.pcm))))
        call_id, raw_id = UUID(self.handshake.call_id), packet.participant
        rate = self.metadata[-1].sample_rate
        participant_id = str(identity.participant_id_of(call_id, raw_id))
        speaker = Speaker(len(self.speakers), raw_id, participant_id, Meter(rate))
        self._append(Voice(speaker.index, raw_id))
        self.speakers[raw_id] = speaker
        self.changed = True
        return speaker

    def _subscribe(self, announced: AudioMetadata) -> None:
        """Records the metadata; each after the first begins another subscription on the socket."""
        if len(self.metadata) >= MAX_SUBSCRIPTIONS:
            raise UnsupportedAudio("audioMetadata: too many on one socket")
        if self.metadata:
            self._finished_counts.append(self._counts())
            self._append(self._finished_counts[-1])
            self._counts_before = self._totals()
        metadata = Metadata(len(self.metadata), self._clock(), **structs.asdict(announced))
        self._append(metadata)
        self.metadata.append(metadata)
        for speaker in self.speakers.values():
            speaker.change_rate(announced.sample_rate)
        self.changed = True

    def _skip(self, skipped: Skipped) -> None:
        tally = self.tally
        if isinstance(skipped, Unknown):
            tally.unknown += 1
        else:
            tally.malformed += 1
            _count_reason(tally.reasons, skipped.reason)
        if isinstance(skipped, UnsupportedAudio):
            raise skipped
        has_media = (
            self._received
            or tally.audio
            or tally.metadata
            or tally.dtmf
            or tally.other
            or tally.unwritten
        )
        if not has_media and tally.unknown + tally.malformed >= NO_MEDIA_MESSAGES:
            raise NoMedia from skipped

    def _count_oddities(self, packet: AudioData) -> None:
        self.tally.odd_bytes += packet.odd_byte
        self.tally.odd_timestamp += ODD_TIMESTAMP in packet.oddities
        for oddity in packet.oddities:
            _count_reason(self.tally.oddities, oddity)

    def _append(self, record: _NonAudio) -> None:
        """Writes the record, or defers it while the disk is not writable.

        Later packets mean nothing without their metadata and voice, so these two are always
        deferred: their number is bounded already.
        """
        if len(self._deferred) >= MAX_DEFERRED and not isinstance(record, Metadata | Voice):
            self.tally.unwritten += 1
            return
        self._deferred.append(record)
        with suppress(JournalUnwritable):
            self._flush_deferred()

    def _defer_packet(self, packet: Audio) -> None:
        """Defers a record of the lost packet, its time and voice; consecutive lost packets share
        one record.
        """
        last = self._deferred[-1] if self._deferred else None
        if isinstance(last, Unwritten):
            self._deferred[-1] = last.with_packet(packet)
        elif len(self._deferred) < MAX_DEFERRED:
            self._deferred.append(Unwritten.of(packet))

    def _flush_deferred(self) -> None:
        """Writes deferred records in order. Raises `JournalUnwritable`; the rest stays deferred."""
        while self._deferred:
            self.journal.append(self._deferred[0])
            self._deferred.popleft()

    def _totals(self) -> Counts:
        tally = self.tally
        return Counts(
            max(0, len(self.metadata) - 1),
            tally.audio,
            tally.dtmf,
            tally.unknown,
            tally.malformed,
            dict(tally.reasons),
            tally.odd_timestamp,
            dict(tally.oddities),
        )

    def _counts(self) -> Counts:
        """Returns the counts of the current subscription."""
        now, before = self._totals(), self._counts_before
        return Counts(
            now.index,
            now.audio - before.audio,
            now.dtmf - before.dtmf,
            now.unknown - before.unknown,
            now.malformed - before.malformed,
            now.reasons,
            now.odd_timestamp - before.odd_timestamp,
            now.oddities,
        )


def _count_reason(counter: Counter[str], reason: str) -> None:
    if len(counter) < MAX_REASONS or reason in counter:
        counter[reason] += 1
