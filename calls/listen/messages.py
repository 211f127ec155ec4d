"""Messages of listening in: requests, audio chunks, the browser's binary message. PURE."""

from __future__ import annotations

import struct
from typing import TypedDict
from uuid import UUID

REPEAT_SECONDS = 2.0
"""Interval between two requests of one listener, sent to all recording processes."""
LEASE_SECONDS = 3 * REPEAT_SECONDS
"""A request that is not repeated within this time expires: the listener's process has died."""

REQUEST, AUDIO = "listen.wish", "listen.heard"
"""Types of messages in the channel layer."""

CONTIGUOUS_US = 1_000
"""Packets whose timestamps differ by less than this from contiguous ones belong together."""

_HEADER = struct.Struct("<BBHIQ16s")
VERSION = 1
MAX_AGE_MS = 65_535


class ListenRequest(TypedDict):
    """A request of one listener (`listener`: its id) for one call; `listens` False ends it."""

    call: str
    listener: str
    listens: bool


class AudioChunk(TypedDict):
    """Contiguous audio of one participant. `pcm`: 16 bit, little endian, mono; `rate` in Hz.

    `at_us`: ACS's timestamp of the first sample; `arrived_us`: arrival of its packet; both in
    microseconds since the epoch.
    """

    participant: str
    raw_id: str
    rate: int
    at_us: int
    arrived_us: int
    pcm: bytes


def group_of(call_id: str) -> str:
    """Returns the channel-layer group of all listeners of the call."""
    return f"heard.{call_id}"


def end_us(chunk: AudioChunk) -> int:
    return chunk["at_us"] + len(chunk["pcm"]) // 2 * 1_000_000 // chunk["rate"]


def binary_of(chunk: AudioChunk, now_us: int) -> bytes:
    """Returns the browser's message (docs/listening.md): 32 bytes of header, then the PCM."""
    age_ms = min(MAX_AGE_MS, max(0, (now_us - chunk["arrived_us"]) // 1000))
    participant = UUID(chunk["participant"]).bytes
    header = _HEADER.pack(VERSION, 0, age_ms, chunk["rate"], max(0, chunk["at_us"]), participant)
    return header + chunk["pcm"]
