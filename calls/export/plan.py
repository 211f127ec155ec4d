"""The plan of an export: tracks, samples and layout, before any audio is read. PURE."""

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

REVISION = 3
"""Part of every ETag. Raise it when the same request for the same segments begins to give other
bytes.
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """All sealed segments of a call, by participant."""

    call_id: UUID
    segments: Mapping[UUID, Sequence[SegmentRef]]
    """In the order in which participants first spoke; participants without audio included."""

    def axis(self, sample_rate: int | None = None) -> Axis:
        """Returns the axis of all segments. Raises `NoAudio` if there are none."""
        segments = [segment for track in self.segments.values() for segment in track]
        if not segments:
            raise NoAudio
        return Axis.from_segments(segments, sample_rate)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The parameters of an export; `start` and `end` in seconds from the zero."""

    format: Format = FORMATS["wav"]
    layout: Layout = Layout.MIX
    participant: UUID | None = None
    start: Decimal | None = None
    end: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Samples `first` to `last` (exclusive) of `tracks` on `axis`, each track on its own channel or
    all on one.
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
        """Samples per channel."""
        return self.last - self.first

    @property
    def channels(self) -> int:
        return 1 if self.layout is Layout.MIX else len(self.tracks)


def plan_of(recording: Recording, request: ExportRequest) -> Plan:
    """Returns the plan. Raises `NoAudio`, `UnknownParticipant` and `WrongParameter`."""
    axis = recording.axis()
    rate = request.format.rate_for(axis.sample_rate)
    if rate != axis.sample_rate:
        axis = recording.axis(rate)
    if request.participant is None:
        participants = [key for key, segments in recording.segments.items() if segments]
    elif request.participant in recording.segments:
        participants = [request.participant]
    else:
        raise UnknownParticipant
    tracks = tuple(ExportTrack(key, recording.segments[key], axis) for key in participants)
    first, last = _sample_range(axis, request)
    plan = Plan(request.format, axis, tracks, request.layout, first, last)
    request.format.check_channels(plan.channels)
    return plan


def etag_of(plan: Plan) -> str:
    """Returns a strong validator, in quotes: it changes with every byte that would be sent. No
    audio is read for it.
    """
    digest = sha256(f"{REVISION} {plan.format.name} {plan.layout} {plan.sample_rate}".encode())
    digest.update(f" {plan.first} {plan.last} {plan.axis.zero}".encode())
    for track in plan.tracks:
        digest.update(b" track")
        for segment in track.segments:
            digest.update(
                f" {segment.start_sample} {segment.sample_rate} {segment.sha256}".encode()
            )
    return f'"{digest.hexdigest()[:32]}"'


def _sample_range(axis: Axis, request: ExportRequest) -> tuple[int, int]:
    first, last = 0, axis.length
    if request.start is not None:
        first = _sample_at(request.start, axis.sample_rate)
    if request.end is not None:
        last = min(_sample_at(request.end, axis.sample_rate), axis.length)
    if first >= axis.length:
        length = f"{axis.length / axis.sample_rate:.3f} s"
        raise WrongParameter("start", f"start must be before the recording's end, at {length}.")
    if last <= first:
        raise WrongParameter("end", "end must be later than start.")
    return first, last


def _sample_at(seconds: Decimal, sample_rate: int) -> int:
    return int((seconds * sample_rate).to_integral_value(ROUND_HALF_UP))
