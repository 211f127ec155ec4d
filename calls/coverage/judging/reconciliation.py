"""Reconciliation of a call: expected time, by its witnesses, against recorded time. PURE.

`reconcile` returns a judgement, the same for the same witnesses in any order. The rules and their
reasons are in docs/coverage.md; `missing_time` has those about missing time.

Clocks: everything is compared on ACS's clock, which stamps events and audio. A recorder's clock is
taken for the same unless that is impossible: audio that was spoken before its socket opened or
after it was closed, an event that was received before it happened. Other systems have clocks of
their own: times of their statements have a greater tolerance, and are moved onto the recording if
both last equally long.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from calls.coverage.judging.missing_time import (
    MOST_VOICES,
    REFUSED,
    SECOND_US,
    Found,
    Missing,
    Recording,
    is_person,
    missing_time,
    more_than_four,
)
from calls.coverage.judging.spans import Span, overlap
from calls.coverage.judging.witnesses import Events, Refusal, Socket, Statement, Track, Witnesses

SAME_CLOCK_US = 2 * SECOND_US
TOLERANCE_US = 3 * SECOND_US
"""Time at the beginning and the end of a call that need not be recorded: ACS opens the socket about
a second after the answer, and reports the end when it has ended. A call that is shorter need not be
recorded at all.
"""

STATED_TOLERANCE_US = 10 * SECOND_US
"""The same by the statement of another system: it may count from the first ring."""


class Basis(StrEnum):
    """The witness that the expected time comes from, the best first."""

    EVENTS = "events"
    STATEMENTS = "statements"
    JOURNAL = "journal"
    REFUSALS = "refusals"


class Participants(NamedTuple):
    """Numbers of participants. `expected`: None if no witness names any; `fewer`: by how many the
    recording has fewer; `more_than_four`: at one time, so one may be missing by design.
    """

    expected: int | None
    recorded: int
    fewer: int
    more_than_four: bool


class Judgement(NamedTuple):
    """The verdict about a call, and the figures behind it.

    `expected_us` is `recorded_us` and the missing time together, except for an `unexpected` call:
    nothing is expected of it. Nothing of a `missing` call is recorded: the time in which nobody
    could be heard is not expected either. `longer_us`: by how much the recording is longer than
    the call (negative: shorter), 0 within the tolerance. `shift_us`: by how much the times of the
    best witness were moved onto the recording.
    """

    verdict: str
    start_us: int
    end_us: int
    basis: Basis
    expected_us: int
    recorded_us: int
    missing: tuple[Missing, ...]
    by_design_us: int
    participants: Participants
    is_refused: bool
    longer_us: int
    ahead_us: int
    shift_us: int

    @property
    def missing_us(self) -> int:
        return sum(one.end_us - one.start_us for one in self.missing)


def reconcile(witnesses: Witnesses) -> Judgement | None:
    """Returns the judgement of a call; None if nothing proves that there was a call."""
    ahead_us = ahead_of_acs(witnesses)
    sockets = [_moved(one, ahead_us) for one in witnesses.sockets]
    refusals = [_moved_refusal(one, ahead_us) for one in witnesses.refusals]
    own = _own(sockets, witnesses)
    best = _expected(witnesses, own, refusals)
    if best is None:
        return None
    basis, stated = best
    tolerance_us = STATED_TOLERANCE_US if basis is Basis.STATEMENTS else TOLERANCE_US
    shift_us = _shift(basis, stated, own, tolerance_us)
    expected = (stated[0] + shift_us, stated[1] + shift_us)
    recording = Recording(
        expected=expected,
        tolerance_us=tolerance_us,
        sockets=sockets,
        tracks=witnesses.tracks,
        refusals=refusals,
        events=witnesses.events,
    )
    is_proven = witnesses.tracks or witnesses.statements or _has_failed(witnesses)
    if stated[0] == stated[1] and not is_proven:
        return None  # an end without a beginning: it was never connected
    return _judgement(witnesses, recording, own, basis, (ahead_us, shift_us))


def ahead_of_acs(witnesses: Witnesses) -> int:
    """Returns by how much the clocks of the recorders are ahead of ACS's, in µs; 0 if they may be
    equal. An event that came late shows nothing: events may be held up for hours.
    """
    least_us = most_us = 0
    if witnesses.sockets and witnesses.tracks:
        sockets, tracks = _hull(witnesses.sockets), _hull(witnesses.tracks)
        least_us, most_us = sockets[0] - tracks[0], sockets[1] - tracks[1]
    if witnesses.events:
        most_us = min(most_us, witnesses.events.earliest_us)
    ahead_us = least_us if least_us > 0 else min(most_us, 0)
    return ahead_us if abs(ahead_us) > SAME_CLOCK_US else 0


def _hull(spans: Sequence[Socket | Track]) -> Span:
    return min(one.start_us for one in spans), max(one.end_us for one in spans)


def _moved(socket: Socket, ahead_us: int) -> Socket:
    return socket._replace(start_us=socket.start_us - ahead_us, end_us=socket.end_us - ahead_us)


def _moved_refusal(refusal: Refusal, ahead_us: int) -> Refusal:
    return refusal._replace(
        first_us=refusal.first_us - ahead_us, last_us=refusal.last_us - ahead_us
    )


def _own(sockets: list[Socket], witnesses: Witnesses) -> Span | None:
    """Returns the time from the first to the last sign of the call in our own journals."""
    spans: list[Socket | Track] = [*sockets, *witnesses.tracks]
    return _hull(spans) if spans else None


def _expected(
    witnesses: Witnesses, own: Span | None, refusals: list[Refusal]
) -> tuple[Basis, Span] | None:
    """Returns the best witness and the time of the call by it. Times unknown to it are taken
    from the next one.
    """
    stated = _stated(witnesses.statements, own)
    if witnesses.events:
        return Basis.EVENTS, _by_events(witnesses.events, stated or own)
    if stated:
        return Basis.STATEMENTS, stated
    if own:
        return Basis.JOURNAL, own
    if refusals:
        first_us, last_us = (one.first_us for one in refusals), (one.last_us for one in refusals)
        return Basis.REFUSALS, (min(first_us), max(last_us))
    return None


def _stated(statements: tuple[Statement, ...], own: Span | None) -> Span | None:
    if not statements:
        return None
    start_us = min(one.start_us for one in statements)
    ends = [one.end_us for one in statements if one.end_us is not None]
    return start_us, max(*ends, start_us) if ends else max(own[1] if own else start_us, start_us)


def _by_events(events: Events, other: Span | None) -> Span:
    start_us, end_us = events.connected_us, events.disconnected_us
    if start_us is None:
        start_us = min(events.first_us, other[0]) if other else events.first_us
    if end_us is None:
        end_us = max(events.last_us, other[1]) if other else events.last_us
    return start_us, max(start_us, end_us)


def _shift(basis: Basis, stated: Span, own: Span | None, tolerance_us: int) -> int:
    """Returns by how much the expected time has to be moved to be on the clock of the recording."""
    if own is None or basis is Basis.JOURNAL:
        return 0
    lengths_differ = abs((own[1] - own[0]) - (stated[1] - stated[0])) > tolerance_us
    if basis is Basis.STATEMENTS and not lengths_differ:
        return 0 if abs(own[0] - stated[0]) <= tolerance_us else own[0] - stated[0]
    # One connection id is one call: at quite another time, it can only be another clock.
    return 0 if overlap(own, stated) else own[0] - stated[0]


def _judgement(
    witnesses: Witnesses,
    recording: Recording,
    own: Span | None,
    basis: Basis,
    clocks: tuple[int, int],
) -> Judgement:
    found = missing_time(recording)
    verdict = _verdict(witnesses, recording, found, basis)
    start_us, end_us = recording.expected
    lost_us = sum(one.end_us - one.start_us for one in found.missing)
    whole_us = _whole(verdict, end_us - start_us, lost_us, found)
    longer_us = own[1] - own[0] - whole_us if own and found.has_audio else 0
    return Judgement(
        verdict=verdict,
        start_us=start_us,
        end_us=end_us,
        basis=basis,
        expected_us=0 if verdict == "unexpected" else whole_us,
        recorded_us=max(0, whole_us - lost_us),
        missing=found.missing if verdict in ("partial", "missing") else (),
        by_design_us=found.by_design_us,
        participants=_participants(witnesses, recording),
        is_refused=basis is Basis.REFUSALS or _is_refused(found),
        longer_us=longer_us if abs(longer_us) > recording.tolerance_us else 0,
        ahead_us=clocks[0],
        shift_us=clocks[1],
    )


def _whole(verdict: str, length_us: int, lost_us: int, found: Found) -> int:
    """Returns the recorded and the missing time together."""
    if verdict == "missing":
        return lost_us
    is_silent = verdict == "complete" and not found.has_audio
    return 0 if is_silent else length_us  # too short to be streamed, or nobody could be heard


def _verdict(witnesses: Witnesses, recording: Recording, found: Found, basis: Basis) -> str:
    if found.has_audio:
        if basis is Basis.JOURNAL and witnesses.has_neighbours:
            return "unexpected"
        return "partial" if found.missing else "complete"
    length_us = recording.expected[1] - recording.expected[0]
    is_endless = basis is Basis.STATEMENTS and length_us == 0  # of no known length
    if _has_failed(witnesses) or is_endless:
        return "missing"
    is_short = length_us <= recording.tolerance_us
    return "complete" if is_short or not found.missing else "missing"


def _is_refused(found: Found) -> bool:
    return any(one.reason.startswith(REFUSED) for one in found.missing)


def _has_failed(witnesses: Witnesses) -> bool:
    """Whether ACS has tried to stream the call, in vain."""
    return bool(witnesses.refusals or (witnesses.events and witnesses.events.failure))


def _most_stated(witnesses: Witnesses) -> int:
    return max((one.participants or 0 for one in witnesses.statements), default=0)


def _participants(witnesses: Witnesses, recording: Recording) -> Participants:
    heard = {track.raw_id for track in recording.tracks}
    presences = witnesses.events.presences if witnesses.events else ()
    present = {
        one.raw_id
        for one in presences
        if one.present and (is_person(one.raw_id) or one.raw_id in heard)
    }
    expected = max(len(present), _most_stated(witnesses))
    is_unmixed = bool(heard) and "" not in heard
    return Participants(
        expected=expected or None,
        recorded=len(heard),
        fewer=max(0, expected - len(heard)) if is_unmixed else 0,
        more_than_four=bool(more_than_four(recording)) or _most_stated(witnesses) > MOST_VOICES,
    )
