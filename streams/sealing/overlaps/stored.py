"""Stored segments, and the changes of them that a file's audio needs. PURE."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.stamps import is_untimed, stamp_at


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

    def is_untimed(self, sample: int, packet: int) -> bool:
        """Whether the packet of a sample has no timestamp."""
        return self.stamps is not None and is_untimed(self.stamps, sample, packet)


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


@dataclass(slots=True)
class Placement:
    """The positions of a file's audio, and the changes of stored audio that they need.

    `duplicate`: packets dropped because they are stored already; `vacated`: stored segments, where
    they were, that another clock had put there.
    """

    segments: list[SealedSegment] = field(default_factory=list)
    duplicate: int = 0
    moves: list[Move] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    vacated: list[Move] = field(default_factory=list)


def without_copies(
    segments: Iterable[SealedSegment], rows: Iterable[Stored], placement: Placement
) -> list[SealedSegment]:
    """Drops segments whose audio is stored at exactly their position: nothing has to be read."""
    by_place = {(row.start_sample, row.end_sample): row.sha256 for row in rows}
    new = []
    for segment in segments:
        digest = by_place.get((segment.start_sample, segment.end_sample))
        if digest is not None and digest == sha256(segment.pcm).hexdigest():
            placement.duplicate += segment.packets
        else:
            new.append(segment)
    return new
