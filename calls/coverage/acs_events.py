"""The history of one call by the events of ACS: times, participants, streaming. PURE.

Events repeat, come late and in any order. The history depends only on their contents, not on the
order of arrival or on repetitions. `ParticipantsUpdated` are ordered by `sequenceNumber`, all
others by the sender's clock. `data` is never trusted to have the documented types: a member with
another type counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from calls.coverage.limits import LONGEST_CALL
from calls.coverage.members import is_true, mapping_in, raw_id_in, text_in
from calls.identity import label_of
from calls.wording import ACS_EVENTS, STREAMING_DETAILS

PREFIX = "Microsoft.Communication."

MAX_TEXT = 500
"""Longest text of a note, in characters."""

UNSPECIFIED = "unspecifiedError"
"""ACS's reason where it gives none."""

MAX_REASON = 64
MAX_NAME = 256
EARLIEST = datetime.min.replace(tzinfo=UTC)

TYPES = frozenset(
    {
        *ACS_EVENTS,
        *("CallConnected", "CallDisconnected", "ParticipantsUpdated"),
        *("MediaStreamingStarted", "MediaStreamingStopped", "MediaStreamingFailed"),
        *("TranscriptionStarted", "TranscriptionStopped", "TranscriptionFailed"),
        *("TranscriptionUpdated", "TranscriptionResumed"),
        *("PlayStarted", "PlayCompleted", "PlayFailed", "PlayCanceled", "PlayPaused"),
        *("PlayResumed", "RecognizeCompleted", "RecognizeFailed", "RecognizeCanceled"),
        *("ContinuousDtmfRecognitionToneReceived", "ContinuousDtmfRecognitionToneFailed"),
        *("ContinuousDtmfRecognitionStopped", "SendDtmfTonesCompleted", "SendDtmfTonesFailed"),
        *("HoldAudioStarted", "HoldAudioPaused", "HoldAudioResumed", "HoldAudioCompleted"),
        *("CallStarted", "CallEnded", "CallParticipantAdded", "CallParticipantRemoved"),
    }
)
"""Types of Call Automation 1.6 and of Event Grid, without `PREFIX`. Others are kept as they are."""

_LONGEST_SECONDS = LONGEST_CALL.total_seconds()
_TYPES = {name.casefold(): name for name in TYPES}
_DETAILS = {name.casefold(): name for name in STREAMING_DETAILS}
_STOPPED = "MediaStreamingStopped"
_STREAMING = ("MediaStreamingStarted", _STOPPED, "MediaStreamingFailed")
_JOINED = ("AddParticipantSucceeded", "CallParticipantAdded", "MoveParticipantSucceeded")
_LEFT = ("RemoveParticipantSucceeded", "CallParticipantRemoved")

PROVING = (
    *("CallConnected", "CallDisconnected", "CallStarted", "CallEnded", "ParticipantsUpdated"),
    *_STREAMING,
    *_JOINED,
    *_LEFT,
)
"""Types that prove a call. Others may be about one that only rang."""


class Event(NamedTuple):
    """One event. `type` with or without `PREFIX`, in any case; times are aware."""

    type: str
    occurred_at: datetime
    received_at: datetime
    sequence_number: int | None
    data: Mapping[str, Any]


class Span(NamedTuple):
    """A time; `ended_at` is None while it lasts."""

    started_at: datetime
    ended_at: datetime | None
    reason: str = ""


class Presence(NamedTuple):
    """When a participant was in the call, muted, and on hold."""

    raw_id: str
    display_name: str
    present: tuple[Span, ...]
    muted: tuple[Span, ...]
    on_hold: tuple[Span, ...]


class Note(NamedTuple):
    """An event in words, for the page of the call. `type` is a key of ACS_EVENTS."""

    at: datetime
    type: str
    text: str


class CallHistory(NamedTuple):
    """The history of a call. Spans end with the call at the latest.

    `interruptions`: ACS says that it did not stream; `reason` is a key of STREAMING_DETAILS, or an
    unknown value as ACS sent it.
    """

    connected_at: datetime | None
    disconnected_at: datetime | None
    participants: tuple[Presence, ...]
    streaming: tuple[Span, ...]
    interruptions: tuple[Span, ...]
    notes: tuple[Note, ...]


def history_of(events: Iterable[Event]) -> CallHistory:
    """Returns the history of a call from its events, in any order, repeated or not."""
    ordered = _once(events)
    connected_at, disconnected_at = _connected_at(ordered), _disconnected_at(ordered)
    streaming, interruptions = _streaming(ordered, connected_at, disconnected_at)
    return CallHistory(
        connected_at=connected_at,
        disconnected_at=disconnected_at,
        participants=_participants(ordered, disconnected_at),
        streaming=streaming,
        interruptions=interruptions,
        notes=tuple(
            Note(event.occurred_at, event.type, note_text(event))
            for event in ordered
            if event.type in ACS_EVENTS
        ),
    )


def canonical_type(name: str) -> str:
    """Returns the type without `PREFIX` and in the usual case, an unknown one without `PREFIX`."""
    if name.casefold().startswith(PREFIX.casefold()):
        name = name[len(PREFIX) :]
    return _TYPES.get(name.casefold(), name)


def names_of(event: Event) -> Iterator[tuple[str, str]]:
    """Yields raw ids and display names that an event carries."""
    data = event.data
    match canonical_type(event.type):
        case "IncomingCall":
            found = [(raw_id_in(data.get("from")), data.get("callerDisplayName"))]
        case "ParticipantsUpdated":
            found = [(raw_id, one.get("displayName")) for raw_id, one in _listed(data)]
        case "CallParticipantAdded" | "CallParticipantRemoved":
            found = [(raw_id_in(data.get("user")), data.get("displayName"))]
        case _:
            found = []
    for raw_id, name in found:
        cleaned = " ".join(text_in(name).split())[:MAX_NAME]
        if raw_id and cleaned:
            yield raw_id, cleaned


def note_text(event: Event) -> str:
    """Describes an event of ACS_EVENTS in one line without a full stop."""
    text = ACS_EVENTS[event.type]
    if details := "; ".join(_note_details(event)):
        text = f"{text}: {details}"
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _once(events: Iterable[Event]) -> list[Event]:
    """Returns the events in the order of the sender's clock, with canonical types, each once."""
    found = (event._replace(type=canonical_type(event.type)) for event in events)
    keyed = sorted(
        ((_identity(event), event) for event in found),
        key=lambda item: (item[1].occurred_at, item[1].received_at, item[0]),
    )
    first: dict[tuple[str, ...], Event] = {}
    for key, event in keyed:
        first.setdefault(key, event)
    return list(first.values())


def _identity(event: Event) -> tuple[str, ...]:
    number = "" if event.sequence_number is None else str(event.sequence_number)
    contents = json.dumps(event.data, sort_keys=True, default=str)
    return (event.type, number, event.occurred_at.isoformat(), contents)


def _connected_at(events: Sequence[Event]) -> datetime | None:
    """Returns the beginning of the call: of the callback, else of Event Grid, else by the duration
    that the end of the call states.
    """
    for name in ("CallConnected", "CallStarted"):
        for event in events:
            if event.type == name:
                return event.occurred_at
    for event in events:
        seconds = _duration(event) if event.type == "CallEnded" else None
        if seconds is not None:
            since_year_1 = (event.occurred_at - EARLIEST).total_seconds()
            return event.occurred_at - timedelta(seconds=min(seconds, since_year_1))
    return None


def _duration(event: Event) -> float | None:
    """Returns `durationOfCall` in seconds; None if it cannot be one."""
    seconds = event.data.get("durationOfCall")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return seconds if 0 <= seconds <= _LONGEST_SECONDS else None


def _disconnected_at(events: Sequence[Event]) -> datetime | None:
    """Returns the end of the call: of the last callback, else of Event Grid."""
    for name in ("CallDisconnected", "CallEnded"):
        for event in events[::-1]:
            if event.type == name:
                return event.occurred_at
    return None


class _Spans:
    """Spans of one state, from switching it on and off."""

    def __init__(self) -> None:
        self._ended: list[Span] = []
        self._open: Span | None = None

    def set(self, moment: datetime, *, on: bool, reason: str = "") -> None:
        """Records the state from `moment` on; another `reason` begins another span."""
        if self._open is not None and (not on or reason != self._open.reason):
            self._ended.append(self._open._replace(ended_at=moment))
            self._open = None
        if on and self._open is None:
            self._open = Span(moment, None, reason)

    def until(self, end: datetime | None) -> tuple[Span, ...]:
        """Returns the spans, cut at the end of the call; none is empty."""
        spans = [*self._ended, *([self._open] if self._open else [])]
        if end is not None:
            spans = [span._replace(ended_at=min(span.ended_at or end, end)) for span in spans]
        return tuple(
            span for span in spans if span.ended_at is None or span.started_at < span.ended_at
        )


def _streaming(
    events: Sequence[Event], connected_at: datetime | None, end: datetime | None
) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Returns the times in which ACS streamed, and the others. A call whose streaming failed before
    it ever began did not stream from its beginning on.
    """
    running, interrupted = _Spans(), _Spans()
    found = [event for event in events if event.type in _STREAMING]
    if connected_at and found and not _is_running(found[0]) and found[0].type != _STOPPED:
        first = min(connected_at, found[0].occurred_at)
        interrupted.set(first, on=True, reason=_streaming_detail(found[0]))
    for event in found:
        is_running = _is_running(event)
        reason = "" if is_running else _streaming_detail(event)
        running.set(event.occurred_at, on=is_running)
        interrupted.set(event.occurred_at, on=not is_running, reason=reason)
    return running.until(end), interrupted.until(end)


def _is_running(event: Event) -> bool:
    """Returns whether ACS streams from this event on. The details say more than the type."""
    match _streaming_detail(event):
        case "streamConnectionReestablished":
            return True
        case "streamConnectionInterrupted":
            return False
        case _:
            return event.type == "MediaStreamingStarted"


def _streaming_detail(event: Event) -> str:
    """Returns `mediaStreamingStatusDetails` in its usual case, an unknown value as it came."""
    update = mapping_in(event.data.get("mediaStreamingUpdate"))
    detail = text_in(update.get("mediaStreamingStatusDetails")).strip()[:MAX_REASON]
    if not detail:
        return "subscriptionStopped" if event.type == _STOPPED else UNSPECIFIED
    return _DETAILS.get(detail.casefold(), detail)


class _Roster:
    """The participants of a call, in the order in which events name them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._states: dict[str, tuple[_Spans, _Spans, _Spans]] = {}

    def name(self, raw_id: str, display_name: str) -> None:
        self._names[raw_id] = display_name

    def set(self, raw_id: str, moment: datetime, *, here: bool, muted: bool, held: bool) -> None:
        states = self._states.setdefault(raw_id, (_Spans(), _Spans(), _Spans()))
        for spans, on in zip(states, (here, muted, held), strict=True):
            spans.set(moment, on=on)

    def update(self, moment: datetime, listed: Mapping[str, Mapping[str, Any]]) -> None:
        """Records a complete list of participants: the others have left."""
        for raw_id in [*listed, *(one for one in self._states if one not in listed)]:
            one = listed.get(raw_id, {})
            muted, held = is_true(one.get("isMuted")), is_true(one.get("isOnHold"))
            self.set(raw_id, moment, here=raw_id in listed, muted=muted, held=held)

    def until(self, end: datetime | None) -> tuple[Presence, ...]:
        nobody = (_Spans(), _Spans(), _Spans())
        found = []
        for raw_id in [*self._states, *(one for one in self._names if one not in self._states)]:
            here, muted, held = self._states.get(raw_id, nobody)
            name = self._names.get(raw_id, "")
            found.append(Presence(raw_id, name, *(one.until(end) for one in (here, muted, held))))
        return tuple(found)


def _participants(events: Sequence[Event], end: datetime | None) -> tuple[Presence, ...]:
    """Returns the participants of the call: of the complete lists; without any, of the events about
    joining and leaving.
    """
    roster = _Roster()
    updates = [event for event in events if event.type == "ParticipantsUpdated"]
    moment = None
    for event in _by_sequence(updates):
        # the sender's clock may step back between two numbers
        moment = max(event.occurred_at, moment) if moment else event.occurred_at
        roster.update(moment, dict(_listed(event.data)))
    for event in () if updates else events:
        joined = event.type in _JOINED
        raw_id = raw_id_in(event.data.get("user")) or raw_id_in(event.data.get("participant"))
        if raw_id and (joined or event.type in _LEFT):
            roster.set(raw_id, event.occurred_at, here=joined, muted=False, held=False)
    for event in events:
        for raw_id, name in names_of(event):
            roster.name(raw_id, name)
    return roster.until(end)


def _by_sequence(updates: Sequence[Event]) -> list[Event]:
    """Orders lists of participants by their number; one without a number stays after the highest
    number that is not younger.
    """
    highest = -1
    numbered: list[tuple[int, Event]] = []
    for event in updates:
        number = event.sequence_number
        highest = highest if number is None else max(highest, number)
        numbered.append((highest if number is None else number, event))
    return [event for _number, event in sorted(numbered, key=lambda item: item[0])]


def _listed(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the participants of `ParticipantsUpdated`, each with its raw id."""
    participants = data.get("participants")
    for one in participants if isinstance(participants, list) else ():
        if raw_id := raw_id_in(mapping_in(one).get("identifier")):
            yield raw_id, one


def _note_details(event: Event) -> Iterator[str]:
    """Yields the details of an event: participant, state, error, address of a recording."""
    data = event.data
    if event.type == "IncomingCall":
        caller, called = raw_id_in(data.get("from")), raw_id_in(data.get("to"))
        yield f"from {label_of(caller) if caller else '?'} to {label_of(called) if called else '?'}"
        yield from _custom_headers(mapping_in(data.get("customContext")))
    for name in ("participant", "transferTarget"):
        if raw_id := raw_id_in(data.get(name)):
            yield label_of(raw_id)
    if state := text_in(data.get("state")) or text_in(data.get("recordingState")):
        yield state
    if event.type.endswith("Failed"):
        yield from _result(mapping_in(data.get("resultInformation")))
    chunks = mapping_in(data.get("recordingStorageInfo")).get("recordingChunks")
    for chunk in chunks if isinstance(chunks, list) else ():
        if location := text_in(mapping_in(chunk).get("contentLocation")):
            yield location


def _custom_headers(context: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("sipHeaders", "voipHeaders"):
        for name, value in sorted(mapping_in(context.get(kind)).items()):
            yield f"{name} = {value}"


def _result(result: Mapping[str, Any]) -> Iterator[str]:
    codes = [str(result[name]) for name in ("code", "subCode") if isinstance(result.get(name), int)]
    if text := " ".join(("/".join(codes), text_in(result.get("message")))).strip():
        yield text
