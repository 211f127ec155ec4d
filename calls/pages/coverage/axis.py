"""Witnesses of a recorded call on the time axis of its player: a lane for each witness, and marks
for participants who join, leave, are muted or on hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from calls.coverage.acs_events import CallHistory, Presence
from calls.coverage.call_events import STOPPED
from calls.identity import label_of
from calls.models import Call
from calls.pages.coverage.witnesses import Witness, witnesses_of
from calls.pages.events import Event
from calls.pages.timeline import MAX_MARKS, seconds_after
from calls.wording import STREAMING_DETAILS


class Mark(NamedTuple):
    """An event of ACS on the page of a call. `kind`: its sign in `_signs.html`."""

    kind: str
    started_at: datetime
    ended_at: datetime | None
    text: str
    raw_id: str = ""
    name: str = ""


def with_witnesses(timeline: dict[str, Any], call: Call, told: CallHistory) -> dict[str, Any]:
    """Returns the timeline of a call (`calls.pages.timeline`) with `witnesses`, further marks, and
    `states` in its tracks: times in which the participant was muted or on hold. `told`: the
    `history` of the call.
    """
    found = witnesses_of(call.call_connection_id, call.correlation_id, told, call)
    zero = datetime.fromisoformat(timeline["audio_started_at"] or timeline["started_at"])
    end = timeline["duration_seconds"]
    tracks = {track["raw_id"]: track for track in timeline["tracks"]}
    extra = [_mark(mark, zero, tracks) for mark in marks_of(told, call)]
    marks = sorted([*timeline["marks"], *extra], key=lambda mark: mark["at"])
    for track in timeline["tracks"]:
        track["states"] = []
    for presence in told.participants:
        if track := tracks.get(presence.raw_id):
            track["states"] = _states(presence, zero, end)
    return {
        **timeline,
        "marks": marks[:MAX_MARKS],
        "has_more_marks": timeline["has_more_marks"] or len(marks) > MAX_MARKS,
        "witnesses": [_witness(each, zero, end) for each in found],
    }


def marks_of(told: CallHistory, call: Any) -> list[Mark]:
    """Returns the events of ACS about participants and streaming, and its notes, in order of time.
    Continued calls share them: each has those of its own time. `call`: from `with_state`.
    """
    marks = [Mark("acs_event", note.at, None, note.text) for note in told.notes]
    for span in told.interruptions:
        kind = "pause" if span.reason == STOPPED else "not_streamed"
        text = STREAMING_DETAILS.get(span.reason, span.reason)
        marks.append(Mark(kind, span.started_at, span.ended_at, text))
    for presence in told.participants:
        marks += _of_participant(presence, told.disconnected_at)
    own = [mark for mark in marks if _is_of(call, mark.started_at)]
    return sorted(own, key=lambda mark: (mark.started_at, mark.kind, mark.text))


def _is_of(call: Any, moment: datetime) -> bool:
    if call.continued_from_id and moment < call.started_at:
        return False
    return not (call.continued_in_id and call.ended_at and moment > call.ended_at)


def events_of(told: CallHistory, call: Any, zero: datetime) -> list[Event]:
    """Returns the same as events of the page of a call, whose audio begins at `zero`."""
    return [
        Event(
            kind=mark.kind,
            reason="",
            text=mark.text,
            at=max(0.0, seconds_after(zero, mark.started_at)),
            started_at=mark.started_at,
            seconds=(mark.ended_at - mark.started_at).total_seconds() if mark.ended_at else None,
            participant=mark.name,
        )
        for mark in marks_of(told, call)
    ]


def _of_participant(presence: Presence, end: datetime | None) -> Iterator[Mark]:
    who = presence.raw_id, presence.display_name or label_of(presence.raw_id)
    for span in presence.present:
        yield Mark("joined", span.started_at, None, "Joined", *who)
        if span.ended_at and span.ended_at != end:  # all leave at the end of the call
            yield Mark("left", span.ended_at, None, "Left", *who)
    for span in presence.muted:
        yield Mark("mute", span.started_at, span.ended_at, "Muted", *who)
    for span in presence.on_hold:
        yield Mark("hold", span.started_at, span.ended_at, "On hold", *who)


def _mark(mark: Mark, zero: datetime, tracks: dict[str, Any]) -> dict[str, Any]:
    track = tracks.get(mark.raw_id) if mark.raw_id else None
    return {
        "kind": mark.kind,
        "at": seconds_after(zero, mark.started_at),
        "end": seconds_after(zero, mark.ended_at) if mark.ended_at else None,
        "participant": track["participant"] if track else None,
        "label": f"{mark.text} · {mark.name}" if mark.name else mark.text,
    }


def _states(presence: Presence, zero: datetime, end: float) -> list[dict[str, Any]]:
    spans = [("mute", "muted", span) for span in presence.muted]
    spans += [("hold", "on hold", span) for span in presence.on_hold]
    return [
        {
            "kind": kind,
            "label": label,
            "start": seconds_after(zero, span.started_at),
            "end": seconds_after(zero, span.ended_at) if span.ended_at else end,
        }
        for kind, label, span in spans
    ]


def _witness(witness: Witness, zero: datetime, end: float) -> dict[str, Any]:
    ended_at = witness.ended_at
    return {
        "kind": witness.kind,
        "name": witness.name,
        "participants": witness.participants,
        "start": seconds_after(zero, witness.started_at),
        "end": seconds_after(zero, ended_at) if ended_at else None,
        "spans": [
            {
                "start": seconds_after(zero, one.started_at),
                "end": seconds_after(zero, one.ended_at) if one.ended_at else end,
                "label": one.text,
                "is_fault": one.is_fault,
            }
            for one in witness.observations
        ],
    }
