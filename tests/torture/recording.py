"""A recording as exported through REST: the manifest, and every track as WAV."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from calls import identity
from calls.audio.codec import Samples
from tests.torture.databases import ENGINEER_TOKEN

WAV_HEADER_BYTES = 44
REST_SECONDS = 60.0


class NoAnswer(Exception):
    """REST answered with a status other than 200; the message names it."""


@dataclass(frozen=True, slots=True)
class Track:
    """One participant: the exported samples, and the segments and gaps of the manifest."""

    raw_id: str
    samples: Samples
    segments: list[dict[str, Any]]
    gaps: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Recording:
    """One call. `zero_us` is the time of the first sample of every track, in µs since the epoch."""

    state: str
    zero_us: int
    tracks: dict[str, Track]
    audio_count: int


def recording_of(port: int, connection_id: str) -> Recording:
    """Exports a call. Raises `NoAnswer`, `OSError`."""
    call_id = identity.call_id_of(connection_id, uuid4())
    manifest = json.loads(get(port, f"/api/v1/calls/{call_id}/manifest"))
    call = manifest["call"]
    tracks = [_track(port, call_id, track) for track in manifest["tracks"]]
    zero = call["audio_started_at"]
    return Recording(
        call["state"],
        round(datetime.fromisoformat(zero).timestamp() * 1_000_000) if zero else 0,
        {track.raw_id: track for track in tracks},
        sum(subscription["counts"]["audio"] for subscription in call["subscriptions"]),
    )


def get(port: int, path: str, *, seconds: float = REST_SECONDS) -> bytes:
    """Returns the body of a 200. Raises `NoAnswer`, `OSError`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {ENGINEER_TOKEN}"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise NoAnswer(f"{path.partition('?')[0]} answered {response.status}: {body[:200]!r}")
    return body


def status_of(port: int, path: str, *, seconds: float = REST_SECONDS) -> int:
    """Returns the status of `GET path`; 0 if there is no answer in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {ENGINEER_TOKEN}"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return response.status
    finally:
        connection.close()


def _track(port: int, call_id: UUID, track: dict[str, Any]) -> Track:
    participant = track["participant"]
    samples = np.empty(0, np.int16)
    if track["segments"]:
        content = get(
            port, f"/api/v1/calls/{call_id}/audio?format=wav&participant={participant['id']}"
        )
        samples = np.frombuffer(content[WAV_HEADER_BYTES:], dtype="<i2")
    return Track(participant["raw_id"], samples, track["segments"], track["gaps"])
