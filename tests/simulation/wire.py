"""The messages of ACS, with timestamps of any precision, made fast. PURE."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache


def audio_metadata(rate: int, number: int) -> str:
    """Returns the message that announces a sample rate."""
    metadata = {
        "subscriptionId": f"subscription-{number}",
        "encoding": "PCM",
        "sampleRate": rate,
        "channels": 1,
        "length": rate // 25,
    }
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": metadata})


def audio_data(
    stamp_us: int | None, digits: int, raw_id: str, pcm: bytes, silent: int | None = None
) -> str:
    """Returns a packet with `digits` in the fraction of its timestamp. `silent`: the number of a
    silent packet; odd ones have no PCM.
    """
    stamp = "" if stamp_us is None else f'"timestamp":"{_text(stamp_us, digits)}",'
    head = f'{{"kind":"AudioData","audioData":{{{stamp}"participantRawID":"{raw_id}",'
    if silent is not None and silent % 2:
        return f'{head}"silent":true}}}}'
    data, flag = b64encode(pcm).decode("ascii"), "false" if silent is None else "true"
    return f'{head}"data":"{data}","silent":{flag}}}}}'


def _text(stamp_us: int, digits: int) -> str:
    seconds, us = divmod(stamp_us, 1_000_000)
    fraction = f"{us * 10:07d}"[:digits]
    return f"{_second(seconds)}.{fraction}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
