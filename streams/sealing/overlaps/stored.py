"""Stored segments, and the changes of them that a file's audio needs. PURE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.stamps import stamp_at


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored segment: a row and its object. `stamps`: see `stamps.py`."""

    segment_id: UUID
    stream_id: str
    stamps: bytes | None
    start_sample: int
    sample_count: int
    sample_rate: int
    sha256: str
    audio_name: str

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.sample_count

    def stamp_of(self, sample: int, packet: int) -> int:
        """Returns the timestamp of one of its samples, or its place."""
        if self.stamps is None:
            return self.start_sample + sample
        return stamp_at(self.stamps, sample, packet)


Reader = Callable[[Stored], bytes | None]
"""Returns the PCM of a stored segment; None if its object is missing or damaged."""


@dataclass(frozen=True, slots=True)
class Move:
    """A stored segment that begins at another sample from now on."""

    raw_id: str
    stored: Stored
    start_sample: int

    @property
    def sample_rate(self) -> int:
        return self.stored.sample_rate

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.stored.sample_count


@dataclass(frozen=True, slots=True)
class Cut:
    """A stored segment that is replaced by `pieces` of it, with other audio between them."""

    stored: Stored
    pieces: tuple[SealedSegment, ...]
