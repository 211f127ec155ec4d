"""The JSON that ACS sends, member for member in the order it sends them. PURE."""

from __future__ import annotations

import json
from base64 import b64encode

from calls.times import from_microseconds
from streams.simulator.scenario.schedule import AudioFormat

CONNECTION_ID_HEADER = "x-ms-call-connection-id"
CORRELATION_ID_HEADER = "x-ms-call-correlation-id"


def audio_metadata(subscription_id: str, metadata: AudioFormat) -> str:
    members: dict[str, object] = {
        "subscriptionId": subscription_id,
        "encoding": metadata.encoding,
        "sampleRate": metadata.sample_rate,
        "channels": metadata.channels,
    }
    if metadata.length is not None:
        whole = int(metadata.length)
        members["length"] = whole if whole == metadata.length else metadata.length
    return _message("AudioMetadata", "audioMetadata", members)


def audio_data(timestamp_us: int | None, raw_id: str, pcm: bytes, *, silent: bool | None) -> str:
    """Returns an audio message. Mixed audio has the `raw_id` ""; None omits a member."""
    members: dict[str, object] = {}
    if timestamp_us is not None:
        members["timestamp"] = timestamp(timestamp_us)
    if raw_id:
        members["participantRawID"] = raw_id
    members["data"] = b64encode(pcm).decode("ascii")
    if silent is not None:
        members["silent"] = silent
    return _message("AudioData", "audioData", members)


def dtmf_data(tone: str) -> str:
    return _message("DtmfData", "dtmfData", {"data": tone})


def timestamp(timestamp_us: int) -> str:
    """Formats microseconds since the epoch as ACS does: `2022-10-03T19:16:12.925Z`, in
    milliseconds, rounded down.
    """
    moment = from_microseconds(timestamp_us)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(kind: str, member: str, members: dict[str, object]) -> str:
    return json.dumps({"kind": kind, member: members}, separators=(",", ":"))
