"""The events of a call and their times. PURE.

Times are microseconds after the start of the call; timestamps are microseconds since the Unix
epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Protocol

from streams.simulator.scenario.faults import FAITHFUL, Faults, Packet, delivered
from streams.simulator.scenario.packets import PACKET_US, Sound

TONE_US = 200_000  # between two tones of one --dtmf


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The members of an AudioMetadata message, besides the subscription."""

    sample_rate: int
    length: float | None
    encoding: str = "PCM"
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Say:
    """One audio message. `number` counts the packets of the voice as spoken; a `copy` is a
    duplicate sent on purpose; `silent` None means that the PCM decides.
    """

    at_us: int
    timestamp_us: int | None
    voice: int
    number: int
    copy: bool = False
    silent: bool | None = None


@dataclass(frozen=True, slots=True)
class Press:
    """One DTMF message."""

    at_us: int
    tone: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Another AudioMetadata on the open socket; all later sockets begin with it."""

    at_us: int
    metadata: AudioFormat


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The socket closes."""

    at_us: int


@dataclass(frozen=True, slots=True)
class Reconnect:
    """A second socket opens for the same call connection."""

    at_us: int


Event = Say | Press | Announce | Disconnect | Reconnect


@dataclass(frozen=True)
class ScriptedVoice:
    """One participant; `raw_id` "" is the mixed audio of everyone."""

    raw_id: str
    sound: Sound


@dataclass(frozen=True, slots=True)
class Absence:
    """Closes the socket at `at_us` and reopens it `length_us` later; audio in between is lost."""

    at_us: int
    length_us: int

    def covers(self, at_us: int) -> bool:
        return self.at_us <= at_us < self.at_us + self.length_us


class Script(Protocol):
    """One call as it is to be played."""

    @property
    def voices(self) -> Sequence[ScriptedVoice]: ...

    @property
    def metadata(self) -> AudioFormat:
        """The metadata that the first socket begins with."""
        ...

    def events(self, started_us: int) -> Iterator[Event]:
        """Yields all events in order of `at_us`; `started_us` is time 0 of the call."""
        ...


@dataclass(frozen=True)
class Conversation:
    """Participants who speak from time 0, a packet each every 20 ms.

    `absences` do not overlap and are in order.
    """

    voices: tuple[ScriptedVoice, ...]
    sample_rate: int
    faults: Faults = FAITHFUL
    presses: tuple[Press, ...] = ()
    absences: tuple[Absence, ...] = ()

    @property
    def metadata(self) -> AudioFormat:
        # 20 ms of two bytes a sample
        return AudioFormat(self.sample_rate, self.sample_rate // 1000 * 40)

    @property
    def length_us(self) -> int:
        return max(voice.sound.packet_count for voice in self.voices) * PACKET_US

    def events(self, started_us: int) -> Iterator[Event]:
        """Yields the events as spoken, with the faults, without those during an absence."""
        packets = spoken([voice.sound.packet_count for voice in self.voices])
        says: Iterator[Event] = (
            Say(
                delivery.sent_us,
                started_us + delivery.received_us,
                delivery.packet.voice,
                delivery.packet.number,
                delivery.copy,
            )
            for delivery in delivered(packets, self.faults)
        )
        closes: Iterator[Event] = (Disconnect(absence.at_us) for absence in self.absences)
        reopens: Iterator[Event] = (
            Reconnect(absence.at_us + absence.length_us) for absence in self.absences
        )
        pressed: list[Event] = sorted(self.presses, key=_at)
        # merge is stable: at the same time the socket closes, then reopens, then sends the message.
        for event in merge(closes, reopens, says, pressed, key=_at):
            if isinstance(event, Disconnect | Reconnect) or not any(
                absence.covers(event.at_us) for absence in self.absences
            ):
                yield event


def spoken(packet_counts: Sequence[int]) -> Iterator[Packet]:
    """Yields the packets of all voices in the order spoken: one of each voice, every 20 ms."""
    for number in range(max(packet_counts, default=0)):
        for voice, count in enumerate(packet_counts):
            if number < count:
                yield Packet(voice, number, number * PACKET_US)


def presses(at_us: int, tones: Iterable[str]) -> Iterator[Press]:
    """Yields one press after the other from `at_us` on."""
    for index, tone in enumerate(tones):
        yield Press(at_us + index * TONE_US, tone)


def _at(event: Event) -> int:
    return event.at_us
