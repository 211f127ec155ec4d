"""Neutral values that every sender's messages are decoded to. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec import Struct


class Skipped(Exception):
    """The message contains nothing to record; `reason` is a short fixed phrase, fit for logs and
    metrics.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unknown(Skipped):
    """A JSON object of an unknown kind."""


class Malformed(Skipped):
    """Not a JSON object, or a known kind with a wrong member."""


class UnsupportedAudio(Malformed):
    """AudioMetadata for an encoding or a number of channels that cannot be recorded."""


ODD_TIMESTAMP = "audioData: timestamp: cannot be read"
"""The reason in `AudioData.oddities` that is also counted on its own."""


class AudioMetadata(Struct, frozen=True):
    """Format of the packets that follow: `sample_rate` in Hz; `length` in announced bytes per
    packet, which may be wrong.
    """

    subscription_id: str
    encoding: str
    sample_rate: int
    channels: int
    length: float | None


class AudioData(Struct, frozen=True, gc=False):
    """One packet: PCM, signed 16-bit little-endian mono, of one participant ("" = mixed audio of
    everyone).

    `timestamp_us`: microseconds since the Unix epoch, when the service received the media; None if
    absent. `odd_byte`: the payload had an odd last byte, which is no sample and has been cut off.
    `oddities`: short fixed phrases, one for each other member that had to be interpreted.
    """

    participant: str
    timestamp_us: int | None
    pcm: bytes
    silent: bool = False
    odd_byte: bool = False
    oddities: tuple[str, ...] = ()


class DtmfData(Struct, frozen=True):
    tone: str


class Other(Struct, frozen=True):
    """A documented kind without anything to record."""

    kind: str


Message = AudioMetadata | AudioData | DtmfData | Other


@dataclass(frozen=True, slots=True)
class Sender:
    """A service that opens media sockets: its name in derived ids, its decoder, its packet sizes.

    `decode` turns one WebSocket message into a `Message`; it raises `Skipped` and nothing else.
    `rates` maps bytes per packet to Hz, for audio that arrives before any metadata.
    """

    source: str
    decode: Callable[[str | bytes], Message]
    rates: Mapping[int, int]
