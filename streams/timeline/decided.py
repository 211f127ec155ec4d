"""Decisions of a timeline, until they are taken. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from streams.timeline.track import Track
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


def taken_from(
    tracks: Mapping[str, Track], jumps: list[Jump], rate_changes: list[RateChange]
) -> Decided:
    """Removes and returns what the tracks have decided, with these jumps and changes."""
    taken = Decided(
        {
            participant: TrackAudio(track.runs, track.gaps)
            for participant, track in tracks.items()
            if track.runs or track.gaps
        },
        jumps,
        rate_changes,
        sum(track.duplicate for track in tracks.values()),
        sum(track.late for track in tracks.values()),
    )
    for track in tracks.values():
        track.runs, track.gaps, track.duplicate, track.late = [], [], 0, 0
        track.invalidate_envelope()
        track.remembered.drop_cache()
    return taken
