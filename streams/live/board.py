"""The live board of one process: all its streams, one `News` per tick for all of them together. No
I/O.

Audio must never be lost, levels must never queue: what is not taken in time is replaced by what is
newer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from calls import identity
from calls.audio.levels import levels_of
from calls.close_codes import GOOD_CLOSE_CODES
from calls.live.messages import (
    REPEAT_SECONDS,
    SILENCE_DBFS,
    AlarmNews,
    CallData,
    News,
    ParticipantData,
    SubscriptionData,
    Totals,
)
from calls.times import iso_from_microseconds
from streams.ingest.stream import Stream
from streams.journal.records import Metadata
from streams.live.alarm_rules import FULL_SCALE_DBFS

QUIET_TICKS = 4
"""Ticks without a packet after which a voice is shown silent: a stall of less is not seen."""


@dataclass(slots=True)
class LiveCall:
    """A call with at least one socket here, or whose last one closed within the grace time."""

    streams: list[Stream] = field(default_factory=list)
    told_at: float = float("-inf")

    @property
    def is_open(self) -> bool:
        return any(stream.closed is None for stream in self.streams)

    @property
    def last_close_us(self) -> int:
        return max(stream.closed.at_us for stream in self.streams if stream.closed)


class Board:
    """`add` a stream when it opens; `tick` answers what is new. Times are seconds of any monotonic
    clock.
    """

    def __init__(self, process: str, grace_seconds: float) -> None:
        self._process = process
        self._grace_us = int(grace_seconds * 1_000_000)
        self._calls: dict[str, LiveCall] = {}
        self._number = 0

    def add(self, stream: Stream) -> None:
        self._calls.setdefault(stream.handshake.call_id, LiveCall()).streams.append(stream)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __contains__(self, call_id: object) -> bool:
        return call_id in self._calls

    def tick(
        self,
        now: float,
        now_us: int,
        alarms: list[AlarmNews] | None = None,
        totals: Totals | None = None,
        listeners: dict[str, int] | None = None,
    ) -> News:
        """The news since the last tick: `now` monotonic seconds, `now_us` the wall clock for the
        grace time.

        `alarms` are all that are on, where there is something to say of them
        (`streams.live.alarm_monitor`); so are `totals` and `listeners` (`streams.live.audio_tap`).
        """
        levels = self._levels()
        calls, ended, minutes = self._call_news(now, now_us)
        news = News(
            process=self._process, number=self._number, levels=levels, calls=calls, ended=ended
        )
        if alarms is not None:
            news["alarms"] = alarms
        if totals is not None:
            news["totals"] = totals
        if listeners is not None:
            news["listeners"] = listeners
        if minutes:
            news["minutes"] = minutes
        if is_worth_publishing(
            news
        ):  # empty news are not sent, and must leave no hole in the numbers
            news["number"] = self._number = self._number + 1
        return news

    def _call_news(
        self, now: float, now_us: int
    ) -> tuple[list[CallData], list[CallData], dict[str, str]]:
        """Calls that are new, changed or due again, those that have ended, and minutes of the
        former.
        """
        calls, ended, minutes = [], [], dict[str, str]()
        for call_id, call in list(self._calls.items()):
            if not call.is_open and now_us - call.last_close_us >= self._grace_us:
                del self._calls[call_id]
                ended.append(as_in_rest(call))
            elif now - call.told_at >= REPEAT_SECONDS or any(
                stream.changed for stream in call.streams
            ):
                call.told_at = now
                calls.append(as_in_rest(call) | {"state": "live", "ended_at": None})
                minutes |= _minutes(call)
                for stream in call.streams:
                    stream.changed = False
        return calls, ended, minutes

    def _levels(self) -> dict[str, list[float]]:
        """The newest window of each voice; a voice that has gone quiet is said to be silent
        once.
        """
        levels: dict[str, list[float]] = {}
        speakers = [
            one
            for call in self._calls.values()
            for stream in call.streams
            for one in stream.speakers.values()
        ]
        windows = [speaker.meter.take() for speaker in speakers]
        measured = iter(levels_of([window for window in windows if window is not None]))
        for speaker, window in zip(speakers, windows, strict=True):
            if window is not None:
                level = next(measured)
                speaker.audible, speaker.quiet_ticks = True, 0
                speaker.loudest_dbfs = max(speaker.loudest_dbfs, level.rms_dbfs)
                speaker.clipped += level.peak_dbfs >= FULL_SCALE_DBFS
                heard = [
                    level.rms_dbfs,
                    level.peak_dbfs,
                ]  # the louder one, where two sockets carry the voice
                levels[speaker.participant_id] = max(
                    heard, levels.get(speaker.participant_id, heard)
                )
            elif speaker.audible:
                speaker.quiet_ticks += 1
                speaker.audible = speaker.quiet_ticks < QUIET_TICKS
        audible = {speaker.participant_id for speaker in speakers if speaker.audible}
        for speaker in speakers:
            if speaker.quiet_ticks == QUIET_TICKS:
                speaker.quiet_ticks = 0
                if speaker.participant_id not in audible:  # on another socket it goes on
                    levels[speaker.participant_id] = [SILENCE_DBFS, SILENCE_DBFS]
        return levels


def is_worth_publishing(news: News) -> bool:
    has_facts = bool(news["levels"] or news.get("calls") or news.get("ended"))
    return has_facts or "alarms" in news or "totals" in news or "listeners" in news


def _minutes(call: LiveCall) -> dict[str, str]:
    """By participant; of a voice on two sockets what the newer one heard."""
    speakers = [
        speaker for stream in call.streams for speaker in stream.speakers.values() if speaker.minute
    ]
    return {speaker.participant_id: "".join(speaker.minute) for speaker in speakers}


def as_in_rest(call: LiveCall) -> CallData:
    """The call as `GET /api/v1/calls/<id>/` shows it, as far as this process knows before anything
    is sealed.
    """
    first = min(
        (stream.handshake for stream in call.streams),
        key=lambda handshake: handshake.connected_at_us,
    )
    participants = list(_participants(call).values())
    return {
        "id": first.call_id,
        "call_connection_id": first.call_connection_id,
        "correlation_id": first.correlation_id,
        "state": "live" if call.is_open else _state_of(call),
        "started_at": iso_from_microseconds(first.connected_at_us),
        "ended_at": None if call.is_open else iso_from_microseconds(call.last_close_us),
        "audio_started_at": None,
        "duration_seconds": max(
            (participant["recorded_seconds"] for participant in participants), default=0.0
        ),
        "participants": participants,
        "subscriptions": [facts for stream in call.streams for facts in _subscriptions(stream)],
    }


def _state_of(call: LiveCall) -> str:
    last = max(
        (stream.closed for stream in call.streams if stream.closed), key=lambda closed: closed.at_us
    )
    return "ended" if last.code in GOOD_CLOSE_CODES else "interrupted"


def _participants(call: LiveCall) -> dict[str, ParticipantData]:
    """By id, in the order of being heard; a voice heard on two sockets is one participant."""
    participants: dict[str, ParticipantData] = {}
    for stream in call.streams:
        for speaker in stream.speakers.values():
            known = participants.setdefault(
                speaker.participant_id,
                {
                    "id": speaker.participant_id,
                    "raw_id": speaker.raw_id,
                    "kind": identity.kind_of(speaker.raw_id),
                    "display_name": "",
                    "label": identity.label_of(speaker.raw_id),
                    "recorded_seconds": 0.0,
                    "gap_seconds": 0.0,
                },
            )
            known["recorded_seconds"] += speaker.seconds
    return participants


def _subscriptions(stream: Stream) -> Iterable[SubscriptionData]:
    """One for each metadata, as REST shows them; one without facts while none has come."""
    handshake, closed = stream.handshake, stream.closed
    announced: list[Metadata | None] = [*stream.metadata] or [None]
    for index, (metadata, counts) in enumerate(zip(announced, stream.counts(), strict=True)):
        following = announced[index + 1] if index + 1 < len(announced) else None
        ended_us = following.at_us if following else closed.at_us if closed else None
        yield {
            "id": str(identity.subscription_row_id(UUID(handshake.stream_id), index)),
            "subscription_id": metadata.subscription_id if metadata else "",
            "encoding": metadata.encoding if metadata else "",
            "sample_rate": metadata.sample_rate if metadata else None,
            "channels": metadata.channels if metadata else None,
            "length": metadata.length if metadata else None,
            "connected_at": iso_from_microseconds(
                metadata.at_us if metadata and index else handshake.connected_at_us
            ),
            "disconnected_at": None if ended_us is None else iso_from_microseconds(ended_us),
            "close_code": closed.code if closed and not following else None,
            "counts": {
                "audio": counts.audio,
                "dtmf": counts.dtmf,
                "unknown": counts.unknown,
                "malformed": counts.malformed,
                "duplicate": 0,  # these two are known when the journal is sealed
                "late": 0,
            },
        }
