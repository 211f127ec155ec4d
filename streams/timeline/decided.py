"""Decisions of a timeline, until they are taken. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from streams.timeline.waiting import Gap, Run


class Jump(Struct, frozen=True):
    """Law 6, for the ledger: timestamps went from `expected_us` to `timestamp_us`; the audio
    continues at `place_us`.
    """

    participant: str
    place_us: int
    expected_us: int
    timestamp_us: int


class RateChange(Struct, frozen=True):
    participant: str
    start_sample: int
    sample_rate_before: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class TrackAudio:
    """Audio placed on one track since the last `take`, in order of the axis."""

    runs: list[Run]
    gaps: list[Gap]


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions since the last `take`. `duplicate` and `late` are numbers of packets."""

    tracks: dict[str, TrackAudio]
    jumps: list[Jump]
    rate_changes: list[RateChange]
    duplicate: int
    late: int
