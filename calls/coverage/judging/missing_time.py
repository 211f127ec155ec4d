"""Missing time of a call: which of the expected time was not recorded, and why. PURE.

Two kinds of time are missing (docs/coverage.md has the reasons for each rule):

    gaps of a track      unless events say that its participant was away, muted or on hold
    time without audio   of any track, longer than a call needs at its beginning and end

Each moment has one reason: that of the best witness (`RANKS`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from calls.coverage.acs_events import UNSPECIFIED
from calls.coverage.judging.spans import (
    Span,
    difference,
    intersection,
    length,
    overlap,
    union,
    widened,
)
from calls.coverage.judging.witnesses import Events, Refusal, Socket, Track

SECOND_US = 1_000_000

MARGIN_US = 2 * SECOND_US
"""Events about muting and interruptions are this much off at most, as seen in the audio."""

SLIVER_US = 2 * SECOND_US
"""A part of a missing span that is shorter gets the reason of the rest: sockets are closed a moment
after the last packet.
"""

REFUSED_US = 5 * SECOND_US
"""A refusal explains missing time that it is no further away from."""

MOST_VOICES = 4
"""Unmixed streaming carries the four most dominant speakers."""

REFUSED = "refused_"
"""Prefix of the reasons of refused handshakes."""

NEVER_STREAMED = "never_streamed"
NOT_SEALED = "not_sealed"

RANKS = (
    *("not_written", "recorder_stopped", REFUSED),
    "",  # details and codes of ACS
    *(NOT_SEALED, "not_connected", NEVER_STREAMED, "not_received", "not_known"),
)
"""Reasons, the one that explains the most first."""

BY_ACS = ("not_connected", NEVER_STREAMED, "not_received", "not_known")
"""Observations, for which ACS may know the cause."""


class Missing(NamedTuple):
    """A span of missing time."""

    start_us: int
    end_us: int
    reason: str


class Found(NamedTuple):
    """The missing time of a call, sorted, without overlaps. `by_design_us`: gaps while more than
    four were in the call; they are not missing time.
    """

    missing: tuple[Missing, ...]
    has_audio: bool
    by_design_us: int


class Recording(NamedTuple):
    """The witnesses of a call on one clock, that of ACS."""

    expected: Span
    tolerance_us: int
    sockets: Sequence[Socket]
    tracks: Sequence[Track]
    refusals: Sequence[Refusal]
    events: Events | None


def missing_time(recording: Recording) -> Found:
    """Returns the missing time within the expected time."""
    many = more_than_four(recording)
    gaps: list[Missing] = []
    by_design: list[Span] = []
    for track in recording.tracks:
        excused = _excused(track.raw_id, recording)
        for gap in track.gaps:
            left = intersection(
                difference([(gap.start_us, gap.end_us)], excused), [recording.expected]
            )
            if gap.reason == "not_received" and track.raw_id:
                by_design += intersection(left, many)
                left = difference(left, many)
            gaps += [one for span in left for one in _reasons(span, gap.reason, recording)]
    audio = _audio(recording)
    return Found(
        missing=tuple(_painted([*gaps, *_silences(audio, recording)])),
        has_audio=bool(intersection(audio, [recording.expected])),
        by_design_us=length(by_design),
    )


def more_than_four(recording: Recording) -> list[Span]:
    """Returns the time in which more than four participants were in the call."""
    edges = sorted(
        edge
        for spans in _voices(recording)
        for start, end in union(spans)
        for edge in ((start, 1), (end, -1))
    )
    found: list[Span] = []
    now, since = 0, 0
    for at, change in edges:
        if now > MOST_VOICES:
            found.append((since, at))
        now, since = now + change, at
    return union(found)


def _voices(recording: Recording) -> list[Sequence[Span]]:
    """Returns when each participant was in the call: by the events, else by the audio."""
    if recording.events and recording.events.presences:
        heard = {track.raw_id for track in recording.tracks}
        return [
            one.present
            for one in recording.events.presences
            if is_person(one.raw_id) or one.raw_id in heard
        ]
    return [[(track.start_us, track.end_us)] for track in recording.tracks if track.raw_id]


def is_person(raw_id: str) -> bool:
    """Whether the raw id may be a person: bots and the lines of Teams are in a call in silence."""
    return not raw_id.startswith("28:")


def _excused(raw_id: str, recording: Recording) -> list[Span]:
    """Returns the times in which, by the events, a participant could not be heard."""
    presences = recording.events.presences if recording.events else ()
    own = [one for one in presences if one.raw_id == raw_id]
    if not own:
        return []
    present = [span for one in own for span in one.present]
    away = difference([_since_roster(recording)], present)
    return widened([*away, *(span for one in own for span in one.quiet)], MARGIN_US)


def _since_roster(recording: Recording) -> Span:
    """Returns the expected time from the first moment at which events name a participant."""
    assert recording.events, "only events name those who are present"
    known = [start for one in recording.events.presences for start, _end in one.present]
    return (min(known, default=recording.expected[1]), recording.expected[1])


def _audio(recording: Recording) -> list[Span]:
    """Returns the time in which any track has audio."""
    return union(
        span
        for track in recording.tracks
        for span in difference(
            [(track.start_us, track.end_us)], [(gap.start_us, gap.end_us) for gap in track.gaps]
        )
    )


def _silences(audio: Sequence[Span], recording: Recording) -> list[Missing]:
    """Returns the expected time without audio of anyone that no gap explains."""
    nobody = _nobody(recording)
    within = [(track.start_us, track.end_us) for track in recording.tracks]
    silent = difference([recording.expected], [*nobody, *within])
    has_audio = bool(intersection(audio, [recording.expected]))
    return [
        one
        for start, end in silent
        if not has_audio or end - start > recording.tolerance_us
        for one in _explained((start, end), recording)
    ]


def _nobody(recording: Recording) -> list[Span]:
    """Returns the times in which, by the events, nobody could be heard."""
    presences = recording.events.presences if recording.events else ()
    if not any(one.present for one in presences):
        return []
    heard = {track.raw_id for track in recording.tracks}
    audible = [
        span
        for one in presences
        if is_person(one.raw_id) or one.raw_id in heard
        for span in difference(one.present, one.quiet)
    ]
    return widened(difference([_since_roster(recording)], audible), MARGIN_US)


def _explained(silence: Span, recording: Recording) -> list[Missing]:
    """Returns a time without audio in parts: with and without an open socket."""
    sockets = [(one.start_us, one.end_us) for one in recording.sockets]
    unsealed = [(one.start_us, one.end_us) for one in recording.sockets if not one.is_over]
    if not sockets:
        return _reasons(silence, NEVER_STREAMED, recording)
    with_socket = _long(intersection([silence], sockets))
    without = difference([silence], with_socket)
    if with_socket:  # a short rest belongs to it
        without = _long(without)
        with_socket = difference([silence], without)
    return [
        one
        for reason, spans in (
            ("not_connected", without),
            (NOT_SEALED, intersection(with_socket, unsealed)),
            ("not_received", difference(with_socket, unsealed)),
        )
        for span in spans
        for one in _reasons(span, reason, recording)
    ]


def _long(spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span[1] - span[0] >= SLIVER_US]


def _reasons(span: Span, observed: str, recording: Recording) -> list[Missing]:
    """Returns the parts of a span with their reasons: a cause if one is known, else `observed`."""
    if observed not in BY_ACS:
        return [Missing(*span, observed)]
    if observed != "not_received" and (refused := _refused(span, recording.refusals)):
        return [Missing(*span, refused)]
    if recording.events is None:
        return [Missing(*span, observed)]
    if observed == NEVER_STREAMED:
        observed = recording.events.failure or observed
    found: list[Missing] = []
    left = [span]
    for one in recording.events.interruptions:
        reason = observed if one.reason == UNSPECIFIED else one.reason
        covered = _covered(left, (one.start_us, one.end_us))
        found += [Missing(*part, reason) for part in covered]
        left = difference(left, covered)
    return found + [Missing(*part, observed) for part in left]


def _refused(span: Span, refusals: Iterable[Refusal]) -> str:
    """Returns the reason of the last refusal near the span, "" if there is none."""
    start_us, end_us = span[0] - REFUSED_US, span[1] + REFUSED_US
    near = [one for one in refusals if one.first_us <= end_us and one.last_us >= start_us]
    last = max(near, key=lambda one: (one.last_us, one.reason), default=None)
    return f"{REFUSED}{last.reason}" if last else ""


def _covered(spans: Iterable[Span], interruption: Span) -> list[Span]:
    """Returns the parts of the spans that an interruption explains. A short rest of a span is
    explained too: events are not exact to the sample.
    """
    found: list[Span] = []
    for span in spans:
        if parts := intersection([span], [interruption]):
            found += difference([span], _long(difference([span], parts)))
        elif span[1] - span[0] <= MARGIN_US and overlap(span, *widened([interruption], MARGIN_US)):
            found.append(span)
    return found


def _painted(pieces: Iterable[Missing]) -> list[Missing]:
    """Returns the same time without overlaps: each moment has the reason that ranks first."""
    by_reason: dict[str, list[Span]] = {}
    for piece in pieces:
        by_reason.setdefault(piece.reason, []).append((piece.start_us, piece.end_us))
    taken: list[Span] = []
    found: list[Missing] = []
    for reason in sorted(by_reason, key=lambda one: (_rank(one), one)):
        found += [Missing(*span, reason) for span in difference(by_reason[reason], taken)]
        taken = union([*taken, *by_reason[reason]])
    return sorted(found)


def _rank(reason: str) -> int:
    if reason.startswith(REFUSED):
        return RANKS.index(REFUSED)
    return RANKS.index(reason if reason in RANKS else "")
