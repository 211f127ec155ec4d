"""One open media socket: what arrives is appended to its journal, metered, and counted. No I/O but
the journal's.

`receive` is the path of every packet: decode, one `write` for all that one read of the socket
brought, remember the bytes for the meter. It awaits nothing, asks no database and hops to no
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
"""AudioMetadata per socket; each is a row. Streaming stopped and started again every minute takes
four hours to it.
"""

MAX_DEFERRED = 2_048
"""Records that wait for a disk that takes nothing; more are lost, and counted."""

MAX_REASONS = 32
"""Different reasons for malformed messages that are counted apart; they are fixed phrases, so this
is never reached.
"""

NO_MEDIA_MESSAGES = 1_000
"""A connection whose first so many messages hold nothing that we know is closed (20 s of one
participant).
"""


class NoMedia(Exception):
    """Nothing but unknown and malformed messages has come."""


@dataclass(slots=True)
class Speaker:
    """One voice of the socket."""

    index: int
    raw_id: str
    participant_id: str
    meter: Meter
    samples: int = 0  # at the meter's rate
    seconds_before: float = 0.0  # heard before the rate was announced
    audible: bool = False  # whether the board has shown a level since it last showed silence
    quiet_ticks: int = 0  # of the board, without a packet
    loudest_dbfs: float = (
        NOTHING  # rms, of the windows that the board has measured since the lookout looked
    )
    clipped: int = 0  # of these windows
    minute: deque[str] = field(
        default_factory=lambda: deque(maxlen=60)
    )  # `calls.live.messages.step_of` of each second

    @property
    def seconds(self) -> float:
        return self.seconds_before + self.samples / self.meter.sample_rate

    def announce(self, sample_rate: int) -> None:
        """What follows comes at `sample_rate`."""
        self.seconds_before, self.samples = self.seconds, 0
        self.meter = Meter(sample_rate)


def microseconds_now() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class Tally:
    """Messages of the socket, by outcome."""

    audio: int = 0
    dtmf: int = 0
    metadata: int = 0
    unknown: int = 0
    malformed: int = 0
    other: int = 0
    odd_bytes: int = 0
    unwritten: int = 0  # valid messages that the disk did not take
    reasons: Counter[str] = field(default_factory=Counter)


_Fact = Metadata | Voice | Dtmf | Counts | Closed | Unwritten | Alarm


class Stream:
    """`receive` all messages, `rotate` when told, `close` once."""

    def __init__(
        self,
        journal: Journal,
        handshake: Handshake,
        sender: Sender,
        clock: Callable[[], int] = microseconds_now,
    ) -> None:
        self.handshake = handshake
        self.journal = journal
        self.speakers: dict[str, Speaker] = {}
        self.metadata: list[Metadata] = []
        self.tally = Tally()
        self.closed: Closed | None = None
        self._decode = sender.decode
        self._rates = sender.rates
        self._clock = clock
        self._counts_before = Counts(
            0, 0, 0, 0, 0, {}
        )  # totals when the subscription in force began
        self._counts_of: list[Counts] = []  # subscriptions that are over
        self._received: list[tuple[Speaker, Audio]] = []  # of the read that is being looked at
        self._deferred: deque[_Fact] = deque()
        self.tapped: deque[tuple[Speaker, Audio]] | None = (
            None  # packets for who listens in; None: nobody does
        )
        self.changed = True  # something of the call's facts is news

    def receive(self, *messages: str | bytes) -> None:
        """Takes the WebSocket messages of one read; when it returns, or raises, they are in the
        journal.

        Raises `UnsupportedAudio` and `NoMedia`: the socket must be closed, and what follows is not
        looked at.
        """
        try:
            for message in messages:
                self._take(message)
        finally:
            self._write_received()

    def _take(self, message: str | bytes) -> None:
        try:
            decoded = self._decode(message)
            if type(decoded) is AudioData:
                self._receive_audio(decoded)
                return
            self._write_received()  # what follows may say what it was
            if type(decoded) is AudioMetadata:
                self._subscribe(decoded)
            elif type(decoded) is DtmfData:
                self.tally.dtmf += 1
                self._append(Dtmf(self._clock(), decoded.tone))
            else:
                self.tally.other += 1
        except Skipped as skipped:
            self._skip(skipped)

    def note(self, alarm: Alarm) -> None:
        """Of this stream: raised, or over. While the disk takes nothing it is owed, as all that is
        not audio.
        """
        self._append(alarm)

    def rotate(self) -> int | None:
        """Goes on in a new file if the current one has audio; the finished one's descriptor, for
        the syncer.
        """
        if not self.journal.has_audio:
            return None
        self._append(self._counts())
        return self.journal.rotate()

    def close(self, code: int | None, reason: str = "") -> int:
        """Writes the last records; the descriptor of the finished file, to be synced and closed.
        Called once.
        """
        assert self.closed is None, "a socket closes once"
        self.closed = Closed(self._clock(), code, reason)
        self.changed = True
        self._append(self._counts())
        self._append(self.closed)
        finished = self.journal.finish()
        self.journal.descriptor = (
            -1
        )  # the number is the next file's; a message after the end must not land in that
        return finished

    def counts(self) -> list[Counts]:
        """Of each subscription in order, the one in force last."""
        return [*self._counts_of, self._counts()]

    def _receive_audio(self, packet: AudioData) -> None:
        speaker = self.speakers.get(packet.participant)
        if speaker is None:
            speaker = self._introduce(packet)
        audio = Audio(packet.timestamp_us, self._clock(), speaker.index, packet.silent, packet.pcm)
        self._received.append((speaker, audio))
        self.tally.odd_bytes += packet.odd_byte

    def _write_received(self) -> None:
        """Packets are heard when they are in the journal, and not before."""
        if not self._received:
            return
        heard, self._received = self._received, []
        try:
            if self._deferred:
                self._flush_deferred()
            self.journal.append_audio([audio for _, audio in heard])
        except JournalUnwritable:
            self.tally.unwritten += len(heard)
            for _, audio in heard:
                self._defer_packet(audio)
            return
        self.tally.audio += len(heard)
        for speaker, audio in heard:
            speaker.samples += len(audio.pcm) // 2
            speaker.meter.add(audio.pcm)
        if self.tapped is not None:
            self.tapped.extend(heard)

    def _introduce(self, packet: AudioData) -> Speaker:
        self._write_received()
        if len(self.speakers) >= MAX_VOICES:
            raise Malformed("audioData: participantRawID: too many participants")
        if not self.metadata:
            self._infer_metadata(packet)
        call_id, raw_id = UUID(self.handshake.call_id), packet.participant
        rate = self.metadata[-1].sample_rate
        participant_id = str(identity.participant_id_of(call_id, raw_id))
        speaker = Speaker(len(self.speakers), raw_id, participant_id, Meter(rate))
        self._append(Voice(speaker.index, raw_id))
        self.speakers[raw_id] = speaker
        self.changed = True
        return speaker

    def _infer_metadata(self, packet: AudioData) -> None:
        """Audio came first: its documented size tells the rate, and nothing is lost."""
        rate = self._rates.get(len(packet.pcm))
        if rate is None:
            raise Malformed("audioData: audio before metadata")
        self._announce(AudioMetadata("", "PCM", rate, 1, float(len(packet.pcm))))

    def _subscribe(self, announced: AudioMetadata) -> None:
        if len(self.metadata) >= MAX_SUBSCRIPTIONS:
            raise UnsupportedAudio("audioMetadata: too many on one socket")
        self.tally.metadata += 1
        self._announce(announced)
        for speaker in self.speakers.values():
            speaker.announce(announced.sample_rate)

    def _announce(self, announced: AudioMetadata) -> None:
        """The first metadata is that of the connection; each later one begins another subscription
        on the socket.
        """
        if self.metadata:
            self._counts_of.append(self._counts())
            self._append(self._counts_of[-1])
            self._counts_before = self._totals()
        metadata = Metadata(len(self.metadata), self._clock(), **structs.asdict(announced))
        self._append(metadata)
        self.metadata.append(metadata)
        self.changed = True

    def _skip(self, skipped: Skipped) -> None:
        tally = self.tally
        if isinstance(skipped, Unknown):
            tally.unknown += 1
        else:
            tally.malformed += 1
            if len(tally.reasons) < MAX_REASONS or skipped.reason in tally.reasons:
                tally.reasons[skipped.reason] += 1
        if isinstance(skipped, UnsupportedAudio):
            raise skipped
        fruitful = (
            self._received
            or tally.audio
            or tally.metadata
            or tally.dtmf
            or tally.other
            or tally.unwritten
        )
        if not fruitful and tally.unknown + tally.malformed >= NO_MEDIA_MESSAGES:
            raise NoMedia from skipped

    def _append(self, record: _Fact) -> None:
        """What the disk does not take is owed: packets that follow mean nothing without their
        metadata and voice.
        """
        if len(self._deferred) >= MAX_DEFERRED and not isinstance(
            record, Metadata | Voice
        ):  # those are bounded already
            self.tally.unwritten += 1
            return
        self._deferred.append(record)
        with suppress(JournalUnwritable):
            self._flush_deferred()

    def _defer_packet(self, packet: Audio) -> None:
        """The packet is lost; that it is, and when it was heard, is owed: one record for all in a
        row.
        """
        at_us = packet.arrived_us if packet.timestamp_us is None else packet.timestamp_us
        last = self._deferred[-1] if self._deferred else None
        if isinstance(last, Unwritten):
            first_us, last_us = min(last.first_us, at_us), max(last.last_us, at_us)
            self._deferred[-1] = Unwritten(first_us, last_us, last.packets + 1)
        elif len(self._deferred) < MAX_DEFERRED:
            self._deferred.append(Unwritten(at_us, at_us, 1))

    def _flush_deferred(self) -> None:
        """Writes what is owed, in order. Raises `JournalUnwritable`; what is not written then is
        still owed.
        """
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
        )

    def _counts(self) -> Counts:
        """What belongs to the subscription in force."""
        now, before = self._totals(), self._counts_before
        return Counts(
            now.index,
            now.audio - before.audio,
            now.dtmf - before.dtmf,
            now.unknown - before.unknown,
            now.malformed - before.malformed,
            now.reasons,
        )
