"""What happens in a call, and when. PURE.

Times are microseconds after the start of the call; timestamps are microseconds since the Unix
epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Protocol

from streams.simulator.scenario.audio import PACKET_US, Sound
from streams.simulator.scenario.faults import FAITHFUL, Delivery, Faults, Packet, delivered

TONE_US = 200_000  # between two tones of one --dtmf


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What an AudioMetadata message says, besides the subscription."""

    sample_rate: int
    length: float | None
    encoding: str = "PCM"
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Say:
    """One audio message. `number` counts the packets of the voice as spoken; a copy is a duplicate
    sent on purpose.

    `silent` None: as the PCM is.
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
    """Another AudioMetadata on the open socket; every socket that opens from now on begins with
    it.
    """

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
    """The socket is closed at `at_us` and opened again `length_us` later; what falls between is
    lost.
    """

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
        """What the first socket begins with."""
        ...

    def events(self, started_us: int) -> Iterator[Event]:
        """Everything that happens, in order of `at_us`; `started_us` is the moment that time 0
        stands for.
        """
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
        return AudioFormat(
            self.sample_rate, self.sample_rate // 1000 * 40
        )  # 20 ms of two bytes a sample

    @property
    def length_us(self) -> int:
        return max(voice.sound.packet_count for voice in self.voices) * PACKET_US

    def events(self, started_us: int) -> Iterator[Event]:
        """As spoken, through the faults, without what falls into an absence."""
        packets = spoken([voice.sound.packet_count for voice in self.voices])
        says: Iterator[Event] = (
            _say(delivery, started_us) for delivery in delivered(packets, self.faults)
        )
        leaves: Iterator[Event] = (Disconnect(absence.at_us) for absence in self.absences)
        returns: Iterator[Event] = (
            Reconnect(absence.at_us + absence.length_us) for absence in self.absences
        )
        pressed: list[Event] = sorted(self.presses, key=_at)
        # merge is stable: at one moment the socket leaves, then returns, then the message goes.
        for event in merge(leaves, returns, says, pressed, key=_at):
            if isinstance(event, Disconnect | Reconnect) or not self._away(event.at_us):
                yield event

    def _away(self, at_us: int) -> bool:
        return any(absence.covers(at_us) for absence in self.absences)


def spoken(packet_counts: Sequence[int]) -> Iterator[Packet]:
    """The packets of all voices in the order of speaking: one of each voice, every 20 ms."""
    for number in range(max(packet_counts, default=0)):
        for voice, count in enumerate(packet_counts):
            if number < count:
                yield Packet(voice, number, number * PACKET_US)


def presses(at_us: int, tones: Iterable[str]) -> Iterator[Press]:
    """One tone after the other from `at_us` on."""
    for index, tone in enumerate(tones):
        yield Press(at_us + index * TONE_US, tone)


def _say(delivery: Delivery, started_us: int) -> Say:
    packet = delivery.packet
    return Say(
        delivery.sent_us,
        started_us + delivery.received_us,
        packet.voice,
        packet.number,
        delivery.copy,
    )


def _at(event: Event) -> int:
    return event.at_us
