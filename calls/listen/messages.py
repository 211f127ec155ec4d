"""Audio of a live call on its way to ears: wishes to listen, parts of PCM, and what a browser gets.
PURE.
"""

from __future__ import annotations

import struct
from typing import TypedDict
from uuid import UUID

REPEAT_SECONDS = 2.0
"""Between two wishes of one listener, to all processes that record."""
LEASE_SECONDS = 3 * REPEAT_SECONDS
"""A wish that was not repeated for so long is over: the listener's process has died."""

CONTIGUOUS_US = 1_000
"""Packets whose timestamps fit within so much follow each other."""

_HEADER = struct.Struct("<BBHIQ16s")
VERSION = 1
MAX_AGE_MS = 65_535


class ListenRequest(TypedDict):
    """Of one listening (its id is `listener`) to one call; `listens` False: it is over."""

    call: str
    listener: str
    listens: bool


class AudioChunk(TypedDict):
    """Contiguous audio of one participant. `pcm`: 16 bit, little endian, mono; `rate` in Hz.

    `at_us`: ACS's timestamp of the first sample, `arrived_us`: when its packet came; both
    microseconds since the epoch.
    """

    participant: str
    raw_id: str
    rate: int
    at_us: int
    arrived_us: int
    pcm: bytes


def group_of(call_id: str) -> str:
    """The group of all who listen to the call."""
    return f"heard.{call_id}"


def end_us(part: AudioChunk) -> int:
    return part["at_us"] + len(part["pcm"]) // 2 * 1_000_000 // part["rate"]


def binary_of(part: AudioChunk, now_us: int) -> bytes:
    """What the browser gets (docs/listening.md): 32 bytes of header, then the PCM."""
    age_ms = min(MAX_AGE_MS, max(0, (now_us - part["arrived_us"]) // 1000))
    header = _HEADER.pack(
        VERSION, 0, age_ms, part["rate"], max(0, part["at_us"]), UUID(part["participant"]).bytes
    )
    return header + part["pcm"]
