"""New and stored segments of a track, with audio that never repeats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from itertools import pairwise
from struct import pack
from uuid import UUID

import numpy as np

from streams.sealing.digest import SealedSegment
from streams.sealing.overlaps.placement import Placement, Stored, without_overlaps

RATE = 16_000
PACKET = 320
START = 1_664_824_372 * RATE
NEW, OLD = "new", "old"

_noise = np.random.default_rng(7).integers(-6000, 6000, 400 * PACKET).astype("<i2").tobytes()


def pcm_of(first: int, count: int) -> bytes:
    """Returns samples `first` to `first + count` of a voice."""
    return _noise[first * 2 : (first + count) * 2]


def voice(first: int, last: int) -> bytes:
    """Returns packets `first` to `last` (exclusive) of a voice."""
    return pcm_of(first * PACKET, (last - first) * PACKET)


def packets_of(pcms: Iterable[bytes]) -> list[bytes]:
    """Returns the packets of each PCM."""
    return [pcm[at : at + 2 * PACKET] for pcm in pcms for at in range(0, len(pcm), 2 * PACKET)]


def new(
    start: int,
    pcm: bytes,
    *,
    subscription: int = 0,
    packets: int = 0,
    stamps: bytes | None = None,
) -> SealedSegment:
    count = packets or -(-len(pcm) // 2 // PACKET)
    return SealedSegment("p", subscription, START + start, RATE, pcm, count, stamps)


def stamps_of(*packets: int) -> bytes:
    """Returns the timestamps of packets, given in packets since the start."""
    return pack(f"<{len(packets)}q", *(START + packet * PACKET for packet in packets))


class Track:
    """Stored segments, and their audio."""

    def __init__(self) -> None:
        self.pcm: dict[UUID, bytes] = {}
        self.rows: list[Stored] = []
        self.reads = 0

    def store(
        self,
        start: int,
        pcm: bytes,
        stream_id: str = OLD,
        rate: int = RATE,
        stamps: bytes | None = None,
    ) -> Stored:
        segment_id = UUID(int=len(self.pcm))
        self.pcm[segment_id] = pcm
        row = Stored(
            segment_id,
            stream_id,
            stamps,
            START + start,
            len(pcm) // 2,
            rate,
            sha256(pcm).hexdigest(),
            f"{segment_id}.flac",
        )
        self.rows.append(row)
        self.rows.sort(key=lambda one: one.start_sample)
        return row

    def read(self, row: Stored) -> bytes | None:
        self.reads += 1
        return self.pcm[row.segment_id]

    def place(
        self, segments: Sequence[SealedSegment], stream_id: str = NEW, beside: Collection[str] = ()
    ) -> Placement:
        return without_overlaps(segments, {"p": self.rows}, stream_id, self.read, beside)

    def after(self, placement: Placement) -> list[tuple[int, bytes]]:
        """Returns (start, PCM) of everything on the track, in order."""
        moved = {one.stored.segment_id: one.start_sample for one in placement.moves}
        cut = {one.stored.segment_id: one.pieces for one in placement.cuts}
        places = [(one.start_sample - START, one.pcm) for one in placement.segments]
        for row in self.rows:
            if row.segment_id in cut:
                pieces = cut[row.segment_id]
                places += [(one.start_sample - START, one.pcm) for one in pieces]
            else:
                start = moved.get(row.segment_id, row.start_sample)
                places.append((start - START, self.pcm[row.segment_id]))
        return sorted(places)


def joined(places: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Joins contiguous audio."""
    runs: list[tuple[int, bytes]] = []
    for start, pcm in places:
        if runs and runs[-1][0] + len(runs[-1][1]) // 2 == start:
            runs[-1] = (runs[-1][0], runs[-1][1] + pcm)
        else:
            runs.append((start, pcm))
    return runs


def have_no_overlap(places: Iterable[tuple[int, bytes]]) -> bool:
    return all(start + len(pcm) // 2 <= after for (start, pcm), (after, _) in pairwise(places))
