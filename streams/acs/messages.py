"""Wire format of ACS media streaming: decodes one WebSocket message into one value. PURE.

Every wire name of ACS is defined here and nowhere else. Sources: Microsoft's "Audio streaming
concept" and the SDKs' `StreamingData` parsers; further accepted variants are listed in
docs/protocol.md.

`decode` returns `AudioMetadata`, `AudioData`, `DtmfData` or `Other`, or raises a `Skipped`:

    Skipped                  the message is counted and the next one is read
     ├─ Unknown              a JSON object with neither a known kind nor a known member
     └─ Malformed            no JSON object, or a known kind with a wrong member; `reason` names it
         └─ UnsupportedAudio metadata for audio that cannot be recorded: the connection is closed

It raises nothing else, whatever arrives. Reasons name the field and never repeat the payload.

Audio is never skipped because of a member beside it: `timestamp`, `silent` and `participantRawID`
are read as what they mean, or as absent, and `AudioData.oddities` names them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from calls.identity import RAW_ID_MAX_LENGTH
from calls.times import EPOCH
from streams.ingest.packets import (
    ODD_TIMESTAMP,
    AudioData,
    AudioMetadata,
    DtmfData,
    Malformed,
    Message,
    Other,
    Sender,
    Unknown,
    UnsupportedAudio,
)

ID_MAX_LENGTH = 256
TONE_MAX_LENGTH = 32
SAMPLE_RATES = range(8_000, 96_001)
"""Hz. ACS streams 16000 or 24000; others are accepted within what telephony and recording use."""

OTHER_KINDS = frozenset({"markdata", "transcriptionmetadata", "transcriptiondata"})
"""Documented kinds without anything to record: `MarkData` (beta) belongs to outbound audio,
transcription has its own transport URL, which may be this one.
"""

_SECONDS = re.compile(r"[^\d+-]\d\d(:?)\d\d\1\d\d(?:[.,]\d+)?(?:Z|[+-][\d:.,]+)?$", re.ASCII)
"""The end of an ISO 8601 timestamp that has seconds."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BOM = ("\ufeff", b"\xef\xbb\xbf")


class _Audio(Struct, gc=False):
    data: bytes | None = None  # base64, decoded strictly by msgspec in the same pass
    timestamp: str | None = None
    participantRawID: str | None = None
    participantRawId: str | None = None
    silent: bool | None = None


class _Metadata(Struct):
    sampleRate: float
    encoding: str = "PCM"
    subscriptionId: Any = None
    channels: float | None = 1
    length: Any = None


class _Dtmf(Struct):
    data: str | None = None
    tone: str | None = None


class _Envelope(Struct, gc=False):
    kind: Any = None
    audioData: _Audio | UnsetType = UNSET
    audioMetadata: _Metadata | UnsetType = UNSET
    dtmfData: _Dtmf | UnsetType = UNSET


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_any = msgspec.json.Decoder().decode

_MEMBERS: dict[str, tuple[str, type[Struct]]] = {
    "audiodata": ("audioData", _Audio),
    "audiometadata": ("audioMetadata", _Metadata),
    "dtmfdata": ("dtmfData", _Dtmf),
}
_SPELLINGS: dict[type[Struct], dict[str, str]] = {
    shape: {name.lower(): name for name in reversed(shape.__struct_fields__)}
    for _, shape in _MEMBERS.values()
}
"""Documented names of members by lower-case name."""

_ODD_TYPES: dict[str, tuple[type, str]] = {
    "timestamp": (str, ODD_TIMESTAMP),
    "silent": (bool, "audioData: silent: not true or false"),
    "participantRawID": (str, "audioData: participantRawID: not text"),
}
"""Members of `audioData` that may have another type: the documented type, and the oddity."""

_ODD_ID_LENGTH = "audioData: participantRawID: too long"
_ODD_ID_CONTROL = "audioData: participantRawID: control character"


def decode(message: str | bytes) -> Message:
    """Decodes one text or binary WebSocket message, in time linear in its length. Raises only
    `Skipped`.
    """
    try:
        envelope = _decode_envelope(message)
        if envelope.audioData is not UNSET and envelope.kind == "AudioData":
            return _audio(envelope.audioData)
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        pass  # the slower decoder names the error, or accepts a variant
    return _decode_carefully(message)


def _decode_carefully(message: str | bytes) -> Message:
    """Accepts every documented variant of casing and shape; slower, with precise errors."""
    fields = _fields_of(message)
    kind = fields.get("kind")
    if kind is not None and not isinstance(kind, str):
        raise Malformed("kind: not a string")
    name = (kind or "").lower()
    if name in OTHER_KINDS:
        return Other(name)
    if name not in _MEMBERS:
        name = next((member for member in _MEMBERS if member in fields), "")
    if not name:
        raise Unknown("unknown kind")
    member, shape = _MEMBERS[name]
    if not isinstance(fields.get(name), dict):
        raise Malformed(f"{member}: absent or no object")
    return _typed(member, shape, fields[name])


def _fields_of(message: str | bytes) -> dict[str, Any]:
    """Returns the top-level members by lower-case name."""
    text: Any = message[1:] if message[:1] == _BOM[0] else message
    text = text[3:] if text[:3] == _BOM[1] else text
    try:
        value = _decode_any(text)
    except RecursionError as error:
        raise Malformed("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    except ValueError as error:
        raise Malformed("not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return {key.lower(): member for key, member in value.items()}


def _typed(member: str, shape: type[Struct], value: dict[str, Any]) -> Message:
    named, oddities = _named(shape, value)
    try:
        typed = msgspec.convert(named, shape, strict=True)
    except (ValueError, RecursionError) as error:
        # msgspec's "… - at `$.name`" contains our field names only, never the payload
        field = str(error).rpartition("`$.")[2].removesuffix("`")
        place = f"{member}: {field}" if field.isalpha() else member
        raise Malformed(f"{place}: wrong type or value") from error
    if isinstance(typed, _Audio):
        return _audio(typed, oddities)
    if isinstance(typed, _Metadata):
        return _metadata(typed)
    assert isinstance(typed, _Dtmf), "_MEMBERS names three shapes"
    tone = typed.data or typed.tone
    if not tone or len(tone) > TONE_MAX_LENGTH or _CONTROL.search(tone):
        raise Malformed("dtmfData: data: not a tone")
    return DtmfData(tone)


def _named(shape: type[Struct], value: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns the members by their documented names, and the oddities among them.

    If a member occurs in several spellings, the documented one counts, unless it is empty.
    """
    named: dict[str, Any] = {}
    oddities = []
    for key, original in value.items():
        name, item = _SPELLINGS[shape].get(key.lower(), key), original
        if shape is _Audio and name in _ODD_TYPES and item is not None:
            documented, oddity = _ODD_TYPES[name]
            if not isinstance(item, documented):
                item = _meaning(name, item)
                if original != "":
                    oddities.append(oddity)
        if item is not None and (named.get(name, "") == "" or (key == name and item != "")):
            named[name] = item
    return named, tuple(oddities)


def _meaning(name: str, item: Any) -> Any:
    """Returns the meaning of a member of `audioData` that has another type; None if it has none."""
    if name == "silent" and isinstance(item, str | int | float):
        word = item.lower() if isinstance(item, str) else item
        return {"false": False, "true": True, 0: False, 1: True}.get(word)
    return str(item) if name == "participantRawID" and _is_number(item) else None


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _audio(audio: _Audio, oddities: tuple[str, ...] = ()) -> AudioData:
    participant = audio.participantRawID or audio.participantRawId or ""
    if len(participant) > RAW_ID_MAX_LENGTH:
        participant, oddities = storable(participant), (*oddities, _ODD_ID_LENGTH)
    elif not participant.isprintable() and _CONTROL.search(participant):
        participant, oddities = storable(participant), (*oddities, _ODD_ID_CONTROL)
    pcm = audio.data or b""
    silent = bool(audio.silent)
    if not pcm and not silent:
        raise Malformed("audioData: data: empty")
    try:
        timestamp_us = microseconds_of(audio.timestamp) if audio.timestamp else None
    except ValueError:
        timestamp_us, oddities = None, (*oddities, ODD_TIMESTAMP)
    if len(pcm) % 2 or oddities:
        odd_byte = len(pcm) % 2 == 1
        pcm = pcm[:-1] if odd_byte else pcm
        return AudioData(participant, timestamp_us, pcm, silent, odd_byte, oddities)
    return AudioData(participant, timestamp_us, pcm, silent)


def storable(raw_id: str) -> str:
    """Returns a raw id that is fit to be stored for one that is too long or has control characters.

    It begins like the original, without the control characters, and ends with a part of its
    SHA-256, so that different ids stay different.
    """
    end = f"#{sha256(raw_id.encode(errors='surrogatepass')).hexdigest()[:16]}"
    return _CONTROL.sub("\ufffd", raw_id[: RAW_ID_MAX_LENGTH - len(end)]) + end


def microseconds_of(timestamp: str) -> int:
    """Converts an ISO 8601 timestamp to microseconds since the Unix epoch; further fraction digits
    are cut off.

    A timestamp without an offset is UTC. Raises `ValueError` for any other text, for a timestamp
    without seconds, and for a year outside 1970 to 2199.
    """
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        timestamp = timestamp.upper()  # Python 3.11 reads "t", but not "z"
        moment = datetime.fromisoformat(timestamp)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if not moment.second and not _SECONDS.search(timestamp):
        raise ValueError("a timestamp needs seconds")
    if not 1970 <= moment.year < 2200:
        raise ValueError("a timestamp needs a year from 1970 to 2199")
    since = moment - EPOCH
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def _metadata(metadata: _Metadata) -> AudioMetadata:
    if metadata.encoding.lower() != "pcm":
        raise UnsupportedAudio("audioMetadata: encoding: only PCM can be recorded")
    if metadata.channels not in (None, 1):
        raise UnsupportedAudio("audioMetadata: channels: only one channel can be recorded")
    if metadata.sampleRate not in SAMPLE_RATES:
        raise UnsupportedAudio("audioMetadata: sampleRate: not between 8000 and 96000 Hz")
    # A member that is only stored must not cost the audio after it: of another type, it is absent.
    subscription_id = metadata.subscriptionId
    if not isinstance(subscription_id, str):
        subscription_id = str(subscription_id) if _is_number(subscription_id) else ""
    return AudioMetadata(
        subscription_id=identifier("audioMetadata: subscriptionId", subscription_id),
        encoding="PCM",
        sample_rate=int(metadata.sampleRate),
        channels=1,
        length=_length(metadata.length),
    )


def _length(item: Any) -> float | None:
    try:
        return float(item) if _is_number(item) else None
    except OverflowError:
        return None


def identifier(field: str, value: str) -> str:
    """Returns `value` if it is fit to be stored: bounded and without control characters.

    Raises `Malformed` naming `field`.
    """
    if len(value) > ID_MAX_LENGTH:
        raise Malformed(f"{field}: too long")
    if _CONTROL.search(value):
        raise Malformed(f"{field}: control character")
    return value


ACS = Sender("acs", decode, {640: 16_000, 960: 24_000})
"""ACS as a sender: 20 ms packets at 16 kHz or 24 kHz, as documented by Microsoft."""
