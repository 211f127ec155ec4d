"""The journal format: one append-only file per stream, written before any other use of a message.

A file is a magic word followed by records, and is rotated. A record is

    marker "\\xacJ" | kind (1 byte) | flags (1) | length of body (4, little-endian) | body |
    CRC-32 (4) of all before

so a torn tail is recognized, and the next intact record after a damaged one is found by its marker.
Audio has a binary body: timestamp in µs (8), arrival in µs (8), voice (2), PCM; all other records
are JSON. Every file repeats the handshake, the current metadata and the voices, so each can be read
alone; it is also the capture format that `manage.py simulate --replay` sends again and
`manage.py journal` prints.

A file is named `<stream>.<sequence>.open` while it is written and `.journal` when it is finished:
the names on disk show the work that remains. Packets of one read of the socket are one unbuffered
`write` (2 to 4 µs), so appended records survive the process. PURE.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct, field

MAGIC = b"ACSJRNL1"
MARKER = b"\xacJ"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Longest body accepted by readers; the media socket accepts far smaller messages."""

_HEAD = struct.Struct("<2sBBI")
AUDIO_HEAD = struct.Struct("<2sBBIqqH")
_AUDIO_BODY = struct.Struct("<qqH")
CRC = struct.Struct("<I")
_CRC_OF_WHOLE = crc32(CRC.pack(crc32(b"")))
"""CRC-32 of any bytes followed by their own CRC-32: a constant."""
SILENT_FLAG = 1
NO_TIMESTAMP = -(2**63)


class Handshake(Struct, frozen=True):
    """The socket: ids as text UUIDs, ACS's ids from the headers, time of accept; `sequence` numbers
    its files.

    `continued_from` is the id of the call that had ended with the same connection id ("": none),
    and `continuation` the number of such calls. `is_guess`: the database could not be asked whether
    the call had ended, so the sealer asks again. Older files have none of these.
    """

    stream_id: str
    call_id: str
    call_connection_id: str
    correlation_id: str
    connected_at_us: int
    segment_seconds: float
    sequence: int = 0
    continued_from: str = ""
    continuation: int = 0
    is_guess: bool = False


class Metadata(Struct, frozen=True):
    """The `index`-th AudioMetadata of the socket; index 0 may be inferred from packets that arrived
    before any.
    """

    index: int
    at_us: int
    subscription_id: str
    encoding: str
    sample_rate: int
    channels: int
    length: float | None


class Voice(Struct, frozen=True):
    """A participant of the socket; audio records contain its `index` as `voice` instead of the raw
    id.
    """

    index: int
    raw_id: str


class Audio(Struct, frozen=True, gc=False):
    """One packet as it arrived; `timestamp_us` is None if the message had none. A silent packet may
    have no PCM.
    """

    timestamp_us: int | None
    arrived_us: int
    voice: int
    silent: bool
    pcm: bytes


class Dtmf(Struct, frozen=True):
    arrived_us: int
    tone: str


class Counts(Struct, frozen=True):
    """Messages of the subscription `index` so far; `reasons` counts malformed ones by reason,
    bounded.

    `odd_timestamp` packets had a timestamp that cannot be read; `oddities` counts, by reason, the
    members of packets that had to be interpreted, timestamps included. Older files have neither.
    """

    index: int
    audio: int
    dtmf: int
    unknown: int
    malformed: int
    reasons: dict[str, int]
    odd_timestamp: int = 0
    oddities: dict[str, int] = field(default_factory=dict)


class Closed(Struct, frozen=True):
    """End of the socket: WebSocket close code, and our own reason if we closed it."""

    at_us: int
    code: int | None
    reason: str = ""


class Unwritten(Struct, frozen=True):
    """Packets lost while this journal was not writable (disk full, gone or read-only); written when
    it is again.

    `first_us` and `last_us` are their timestamps, or arrival times for packets without timestamps;
    a wrong timestamp is among them. `voices`: number of packets of each voice; `stamps`: first and
    last timestamp of each voice of which all packets had one. Older files have neither.
    """

    first_us: int
    last_us: int
    packets: int
    voices: dict[int, int] = field(default_factory=dict)
    stamps: dict[int, tuple[int, int]] = field(default_factory=dict)

    def with_packet(self, packet: Audio) -> Unwritten:
        """Returns the record with one more packet, which came after the others."""
        voice, stamp_us = packet.voice, packet.timestamp_us
        at_us = packet.arrived_us if stamp_us is None else stamp_us
        stamps = {one: known for one, known in self.stamps.items() if one != voice}
        if stamp_us is not None and (voice in self.stamps or voice not in self.voices):
            first_us, last_us = self.stamps.get(voice, (stamp_us, stamp_us))
            stamps[voice] = min(first_us, stamp_us), max(last_us, stamp_us)
        return Unwritten(
            min(self.first_us, at_us),
            max(self.last_us, at_us),
            self.packets + 1,
            {**self.voices, voice: self.voices.get(voice, 0) + 1},
            stamps,
        )

    @classmethod
    def of(cls, packet: Audio) -> Unwritten:
        """Returns the record of a single packet."""
        at_us = packet.arrived_us if packet.timestamp_us is None else packet.timestamp_us
        return cls(at_us, at_us, 0).with_packet(packet)


class Alarm(Struct, frozen=True):
    """An alarm of the stream, or of one voice of it (`streams.live.alarm_rules` lists the names).

    Written when it is raised, with `until_us` None, and again when it is cleared; an alarm without
    an end lasted to the end of the stream.
    """

    name: str
    voice: int | None
    since_us: int
    until_us: int | None = None


class ClockStep(Struct, frozen=True):
    """The host's wall clock stepped by `by_us`, against steady time, since the last such record of
    the socket; in the first one, since the call's clock was set (`streams.ingest.call_clocks`).

    All other times of the journal are on the call's clock, which does not step.
    """

    at_us: int
    by_us: int


class Damage(Struct, frozen=True):
    """Bytes `start` to `end` of a file that are not records; only read, never written. `torn`: the
    end of the file.
    """

    start: int
    end: int
    torn: bool


Record = (
    Handshake
    | Metadata
    | Voice
    | Audio
    | Dtmf
    | Counts
    | Closed
    | Unwritten
    | Alarm
    | ClockStep
    | Damage
)

AUDIO_KIND = 4
_JSON_KINDS: dict[int, type[Struct]] = {
    1: Handshake,
    2: Metadata,
    3: Voice,
    5: Dtmf,
    6: Counts,
    7: Closed,
    8: Unwritten,
    9: Alarm,
    10: ClockStep,
}
_KIND_OF: dict[type[Struct], int] = {shape: kind for kind, shape in _JSON_KINDS.items()}
_encode = msgspec.json.Encoder().encode
_decoders: dict[int, Any] = {
    kind: msgspec.json.Decoder(shape) for kind, shape in _JSON_KINDS.items()
}


def encode(record: Struct) -> bytes:
    """Returns any record but audio as bytes."""
    body = _encode(record)
    head = _HEAD.pack(MARKER, _KIND_OF[type(record)], 0, len(body))
    return head + body + CRC.pack(crc32(body, crc32(head)))


def parse(content: bytes) -> Iterator[Record]:
    """Yields the records of a file's content. Never raises."""
    view = memoryview(content)
    place = len(MAGIC) if content.startswith(MAGIC) else 0
    while place < len(content):
        found = _packet_at(content, view, place) or _other_at(content, view, place)
        if found is None:
            resumed = content.find(MARKER, place + 1)  # of the next intact record
            while resumed >= 0 and not (
                _packet_at(content, view, resumed) or _other_at(content, view, resumed)
            ):
                resumed = content.find(MARKER, resumed + 1)
            end = len(content) if resumed < 0 else resumed
            yield Damage(place, end, torn=resumed < 0)
            place = end
            continue
        record, place = found
        if record is not None:
            yield record


def _packet_at(content: bytes, view: memoryview, place: int) -> tuple[Audio, int] | None:
    """Returns the audio record at `place` and its end, in few steps: nearly all records are
    packets.
    """
    if place + AUDIO_HEAD.size > len(content):
        return None
    marker, kind, flags, length, timestamp, arrived_us, voice = AUDIO_HEAD.unpack_from(
        content, place
    )
    end = place + _HEAD.size + length
    after = end + CRC.size
    if (
        kind != AUDIO_KIND
        or marker != MARKER
        or after > len(content)
        or not _AUDIO_BODY.size <= length <= MAX_BODY_BYTES
    ):
        return None
    if crc32(view[place:after]) != _CRC_OF_WHOLE:
        return None
    timestamp_us = None if timestamp == NO_TIMESTAMP else timestamp
    pcm = content[place + AUDIO_HEAD.size : end]
    return Audio(timestamp_us, arrived_us, voice, flags & SILENT_FLAG == SILENT_FLAG, pcm), after


def _other_at(content: bytes, view: memoryview, place: int) -> tuple[Record | None, int] | None:
    """Returns any other record at `place` and its end; None instead of a record for unknown kinds,
    which are skipped.
    """
    if place + _HEAD.size > len(content):
        return None
    marker, kind, _, length = _HEAD.unpack_from(content, place)
    start, end = place + _HEAD.size, place + _HEAD.size + length
    after = end + CRC.size
    if kind == AUDIO_KIND or marker != MARKER or after > len(content) or length > MAX_BODY_BYTES:
        return None
    if crc32(view[place:after]) != _CRC_OF_WHOLE:
        return None
    try:
        decoder = _decoders.get(kind)
        return decoder.decode(content[start:end]) if decoder else None, after
    except msgspec.DecodeError:  # intact, but not a body of this version
        return None
