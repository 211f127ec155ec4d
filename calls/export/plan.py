"""Which tracks, which samples, arranged how: all of an export that is known before any audio is
read. PURE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from uuid import UUID

from calls.export.axis import Axis, SegmentRef
from calls.export.errors import NoAudio, UnknownParticipant, WrongParameter
from calls.export.formats import FORMATS, Format, Layout
from calls.export.track import ExportTrack

REVISION = 2
"""Part of every ETag. To be raised when the same request for the same segments begins to give other
bytes.
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """All sealed segments of a call; participants in order of being heard, also those who were
    never heard.
    """

    call_id: UUID
    stretches: Mapping[UUID, Sequence[SegmentRef]]

    def axis(self, sample_rate: int | None = None) -> Axis:
        """Raises `NoAudio` where nothing is sealed."""
        stretches = [stretch for track in self.stretches.values() for stretch in track]
        if not stretches:
            raise NoAudio
        return Axis.of(stretches, sample_rate)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What was asked for; `start` and `end` in seconds from the zero."""

    format: Format = FORMATS["wav"]
    layout: Layout = Layout.MIX
    participant: UUID | None = None
    start: Decimal | None = None
    end: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Samples `first` to `last` (exclusive) of `tracks` on `axis`, each on its own channel or all
    on one.
    """

    format: Format
    axis: Axis
    tracks: tuple[ExportTrack, ...]
    layout: Layout
    first: int
    last: int

    @property
    def sample_rate(self) -> int:
        return self.axis.sample_rate

    @property
    def sample_count(self) -> int:
        """Samples of each channel."""
        return self.last - self.first

    @property
    def channels(self) -> int:
        return 1 if self.layout is Layout.MIX else len(self.tracks)


def plan_of(recording: Recording, wish: ExportRequest) -> Plan:
    """Raises `NoAudio`, `UnknownParticipant` and `WrongParameter`."""
    axis = recording.axis()
    rate = wish.format.rate_for(axis.sample_rate)
    if rate != axis.sample_rate:
        axis = recording.axis(rate)
    tracks = tuple(
        ExportTrack(owner, recording.stretches[owner], axis)
        for owner in _chosen(recording, wish.participant)
    )
    first, last = _range_of(axis, wish)
    plan = Plan(wish.format, axis, tracks, wish.layout, first, last)
    wish.format.check_channels(plan.channels)
    return plan


def etag_of(plan: Plan) -> str:
    """A strong validator, in quotes: it changes with every byte that would be sent; no audio is
    read for it.
    """
    digest = sha256(f"{REVISION} {plan.format.name} {plan.layout} {plan.sample_rate}".encode())
    digest.update(f" {plan.first} {plan.last} {plan.axis.zero}".encode())
    for track in plan.tracks:
        digest.update(b" track")
        for stretch in track.stretches:
            digest.update(
                f" {stretch.start_sample} {stretch.sample_rate} {stretch.sha256}".encode()
            )
    return f'"{digest.hexdigest()[:32]}"'


def _chosen(recording: Recording, participant: UUID | None) -> list[UUID]:
    if participant is None:
        return [owner for owner, stretches in recording.stretches.items() if stretches]
    if participant not in recording.stretches:
        raise UnknownParticipant
    return [participant]


def _range_of(axis: Axis, wish: ExportRequest) -> tuple[int, int]:
    first = 0 if wish.start is None else _sample_at(wish.start, axis.sample_rate)
    last = (
        axis.length
        if wish.end is None
        else min(_sample_at(wish.end, axis.sample_rate), axis.length)
    )
    if first >= axis.length:
        length = axis.length / axis.sample_rate
        raise WrongParameter(
            "start", f"The recording is {length:.3f} s long: start must lie before its end."
        )
    if last <= first:
        raise WrongParameter("end", "end must lie after start.")
    return first, last


def _sample_at(seconds: Decimal, sample_rate: int) -> int:
    return int((seconds * sample_rate).to_integral_value(ROUND_HALF_UP))
