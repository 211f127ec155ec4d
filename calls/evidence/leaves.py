"""Canonical bytes of the leaves of a call's Merkle tree. PURE.

The first leaf states the call: its ids, times, tracks, and how many segments and gaps each track
has, so that a shortened call is found. Then the segments and gaps of each track follow in order of
time, and at last pauses that concern the whole call. A leaf is JSON with sorted members, without
spaces, ASCII only: its bytes are hashed as they are, so a verifier never has to write them again.

Times are exact: samples since the Unix epoch at a rate, or microseconds since the epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

FORMAT = 1
"""Number of this format. Raise it when the same rows begin to give other leaves."""

US = 1_000_000


@dataclass(frozen=True, slots=True)
class SegmentLeaf:
    """A stored segment; `sha256` of its PCM (16-bit little-endian, mono), in hexadecimal."""

    start_sample: int
    sample_count: int
    sample_rate: int
    sha256: str

    @property
    def start(self) -> Fraction:
        return Fraction(self.start_sample, self.sample_rate)

    def members(self) -> dict[str, Any]:
        return {
            "leaf": "segment",
            "start": self.start_sample,
            "samples": self.sample_count,
            "rate": self.sample_rate,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class GapLeaf:
    """Time without audio that the recording declares. `kind`: gap, pause; `reason`: any text;
    the place on the axis in samples if it is known.
    """

    kind: str
    reason: str
    start_us: int
    end_us: int | None
    start_sample: int | None = None
    sample_count: int | None = None
    sample_rate: int | None = None

    @property
    def start(self) -> Fraction:
        if self.start_sample is not None and self.sample_rate:
            return Fraction(self.start_sample, self.sample_rate)
        return Fraction(self.start_us, US)

    def members(self) -> dict[str, Any]:
        return {
            "leaf": "gap",
            "kind": self.kind,
            "reason": self.reason,
            "start_us": self.start_us,
            "end_us": self.end_us,
            "start": self.start_sample,
            "samples": self.sample_count,
            "rate": self.sample_rate,
        }


@dataclass(frozen=True, slots=True)
class TrackLeaves:
    """A track: the id and raw id of its participant, its segments and its gaps."""

    participant: str
    raw_id: str
    segments: Sequence[SegmentLeaf]
    gaps: Sequence[GapLeaf]

    def members(self) -> dict[str, Any]:
        return {
            "participant": self.participant,
            "raw_id": self.raw_id,
            "segments": len(self.segments),
            "samples": sum(segment.sample_count for segment in self.segments),
            "gaps": len(self.gaps),
        }

    def in_order(self) -> list[SegmentLeaf | GapLeaf]:
        """Returns segments and gaps by time, and by their bytes at the same moment."""
        every: list[SegmentLeaf | GapLeaf] = [*self.segments, *self.gaps]
        return sorted(every, key=lambda one: (one.start, _bytes_of(one.members())))


@dataclass(frozen=True, slots=True)
class CallLeaves:
    """A call and everything of it that is proved. `sockets`, and `open_sockets` among them whose
    end is not known: audio of those may be missing.
    """

    call: str
    call_connection_id: str
    correlation_id: str
    started_us: int
    ended_us: int | None
    sockets: int
    open_sockets: int
    tracks: Sequence[TrackLeaves]
    gaps: Sequence[GapLeaf] = ()
    """Gaps and pauses that concern all tracks."""

    @property
    def count(self) -> int:
        """Number of leaves."""
        of_tracks = sum(len(one.segments) + len(one.gaps) for one in self.tracks)
        return 1 + of_tracks + len(self.gaps)

    def lines(self) -> Iterator[bytes]:
        """Yields the bytes of each leaf, in order."""
        yield _bytes_of(self._members())
        for number, track in enumerate(self.tracks, 1):
            for item in track.in_order():
                yield _bytes_of({"track": number, **item.members()})
        for gap in sorted(self.gaps, key=lambda one: (one.start, _bytes_of(one.members()))):
            yield _bytes_of({"track": 0, **gap.members()})

    def _members(self) -> dict[str, Any]:
        return {
            "leaf": "call",
            "format": FORMAT,
            "call": self.call,
            "call_connection_id": self.call_connection_id,
            "correlation_id": self.correlation_id,
            "started_us": self.started_us,
            "ended_us": self.ended_us,
            "sockets": self.sockets,
            "open_sockets": self.open_sockets,
            "leaves": self.count,
            "gaps": len(self.gaps),
            "tracks": [track.members() for track in self.tracks],
        }


def _bytes_of(members: dict[str, Any]) -> bytes:
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode("ascii")
