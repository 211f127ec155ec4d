"""The live board of one process: all its streams, and one `News` per tick for all of them. No I/O.

Audio must never be lost; levels must never queue: a newer level replaces one that was not taken in
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from calls import identity
from calls.audio.levels import levels_of
from calls.close_codes import END_TOLERANCE, GOOD_CLOSE_CODES
from calls.live.messages import (
    REPEAT_SECONDS,
    SILENCE_DBFS,
    AlarmNews,
    CallData,
    CountsData,
    News,
    ParticipantData,
    ReportedEnd,
    SubscriptionData,
    Totals,
)
from calls.times import iso_from_microseconds, to_microseconds
from streams.ingest.stream import Speaker, Stream
from streams.journal.records import Counts, Metadata
from streams.live.alarm_rules import FULL_SCALE_DBFS

QUIET_TICKS = 4
"""Ticks without a packet after which a voice is shown as silent: shorter stalls are not shown."""

END_TOLERANCE_US = END_TOLERANCE // timedelta(microseconds=1)


@dataclass(slots=True)
class LiveCall:
    """A call with at least one socket here, or whose last one closed within the grace time.

    `reported_end_us`: when it ended, as ACS says.
    """

    streams: list[Stream] = field(default_factory=list)
    published_at: float = float("-inf")
    reported_end_us: int | None = None

    @property
    def is_open(self) -> bool:
        return any(stream.closed is None for stream in self.streams)

    @property
    def is_over(self) -> bool:
        """Whether ACS has reported its end, and no socket has connected since."""
        end_us = self.reported_end_us
        return end_us is not None and all(
            stream.handshake.connected_at_us <= end_us for stream in self.streams
        )

    @property
    def ended_us(self) -> int | None:
        """Returns the end of the call in microseconds since the epoch; None while it is live."""
        ends = [self.last_close_us] if not self.is_open else []
        if self.is_over and self.reported_end_us is not None:
            ends.append(self.reported_end_us)
        return min(ends, default=None)

    @property
    def last_close_us(self) -> int:
        return max(stream.closed.at_us for stream in self.streams if stream.closed)

    @property
    def closed_for_us(self) -> int:
        """How long the last socket has been closed, on the clock of the call."""
        return self.streams[-1].now_us() - self.last_close_us

    @property
    def state(self) -> str:
        """The state in the form of REST: live, ended or interrupted. The socket that was opened
        last decides, not one that it has replaced and that was closed later.
        """
        if self.is_open and not self.is_over:
            return "live"
        closed = self.streams[-1].closed
        assert closed or self.is_over, "no socket is open"
        if closed is None or closed.code in GOOD_CLOSE_CODES:
            return "ended"
        is_explained = (
            self.is_over
            and self.reported_end_us is not None
            and closed.at_us + END_TOLERANCE_US >= self.reported_end_us
        )
        return "ended" if is_explained else "interrupted"

    def participants(self) -> list[ParticipantData]:
        """Returns participants in the form of REST, in the order of their first packet; a voice on
        two sockets is one participant.
        """
        participants: dict[str, ParticipantData] = {}
        for stream in self.streams:
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
        return list(participants.values())


class Board:
    """`add` a stream when it opens; `tick` returns the news. Times are seconds of any monotonic
    clock.
    """

    def __init__(self, process: str, grace_seconds: float) -> None:
        self._process = process
        self._grace_us = int(grace_seconds * 1_000_000)
        self._calls: dict[str, LiveCall] = {}
        self._number = 0

    def add(self, stream: Stream) -> None:
        self._calls.setdefault(stream.handshake.call_id, LiveCall()).streams.append(stream)

    def end(self, ends: Iterable[ReportedEnd]) -> None:
        """Notes ends that ACS has reported; the calls leave the board at the next tick."""
        ends = list(ends)
        by_connection = {one["call_connection_id"]: one["at"] for one in ends}
        by_correlation = {one["correlation_id"]: one["at"] for one in ends}
        by_connection.pop("", None)
        by_correlation.pop("", None)
        for call in self._calls.values():
            ids = call.streams[0].handshake
            at = by_connection.get(ids.call_connection_id, "")
            at = max(at, by_correlation.get(ids.correlation_id, ""))
            if at:
                end_us = to_microseconds(datetime.fromisoformat(at))
                call.reported_end_us = max(end_us, call.reported_end_us or end_us)

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __contains__(self, call_id: object) -> bool:
        return call_id in self._calls

    def tick(
        self,
        now: float,
        alarms: list[AlarmNews] | None = None,
        totals: Totals | None = None,
        listeners: dict[str, int] | None = None,
    ) -> News:
        """Returns the news since the last tick: `now` in monotonic seconds.

        `alarms` (all active ones, `AlarmMonitor.news`), `totals` and `listeners` (`AudioTap.news`)
        are None if they need not be sent.
        """
        news = News(
            process=self._process, number=self._number, levels=self._levels(), calls=[], ended=[]
        )
        self._add_calls(news, now)
        if alarms is not None:
            news["alarms"] = alarms
        if totals is not None:
            news["totals"] = totals
        if listeners is not None:
            news["listeners"] = listeners
        if is_worth_publishing(news):  # empty news are not sent, and must leave no hole in numbers
            news["number"] = self._number = self._number + 1
        return news

    def _add_calls(self, news: News, now: float) -> None:
        """Adds the calls that are new, changed or due for a repeat with their minutes, and the
        ended calls, which leave the board.
        """
        minutes = dict[str, str]()
        for call_id, call in list(self._calls.items()):
            is_closed = not call.is_open and call.closed_for_us >= self._grace_us
            if is_closed or call.is_over:
                del self._calls[call_id]
                news["ended"].append(as_in_rest(call))
            elif now - call.published_at >= REPEAT_SECONDS or any(
                stream.changed for stream in call.streams
            ):
                call.published_at = now
                news["calls"].append(as_in_rest(call) | {"state": "live", "ended_at": None})
                # Of a voice on two sockets: the minute of the newer one.
                minutes |= {
                    speaker.participant_id: "".join(speaker.minute)
                    for stream in call.streams
                    for speaker in stream.speakers.values()
                    if speaker.minute
                }
                for stream in call.streams:
                    stream.changed = False
        if minutes:
            news["minutes"] = minutes

    def _levels(self) -> dict[str, list[float]]:
        """Returns the level of each voice in its newest window; a voice that has gone quiet is
        shown as silent once.
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
                # The louder one, if two sockets carry the voice.
                shown = [level.rms_dbfs, level.peak_dbfs]
                levels[speaker.participant_id] = max(
                    shown, levels.get(speaker.participant_id, shown)
                )
            elif speaker.audible:
                speaker.quiet_ticks += 1
                speaker.audible = speaker.quiet_ticks < QUIET_TICKS
        return levels | _silences(speakers)


def is_worth_publishing(news: News) -> bool:
    has_facts = bool(news["levels"] or news.get("calls") or news.get("ended"))
    return has_facts or "alarms" in news or "totals" in news or "listeners" in news


def _silences(speakers: Sequence[Speaker]) -> dict[str, list[float]]:
    """Returns the level of silence for voices that have just gone quiet on all their sockets."""
    audible = {speaker.participant_id for speaker in speakers if speaker.audible}
    silences = {}
    for speaker in speakers:
        if speaker.quiet_ticks == QUIET_TICKS:
            speaker.quiet_ticks = 0
            if speaker.participant_id not in audible:
                silences[speaker.participant_id] = [SILENCE_DBFS, SILENCE_DBFS]
    return silences


def as_in_rest(call: LiveCall) -> CallData:
    """Returns the call in the form of `GET /api/v1/calls/<id>/`, with the facts that this
    process has before anything is sealed.
    """
    first = min(
        (stream.handshake for stream in call.streams),
        key=lambda handshake: handshake.connected_at_us,
    )
    participants = call.participants()
    return {
        "id": first.call_id,
        "call_connection_id": first.call_connection_id,
        "correlation_id": first.correlation_id,
        "state": call.state,
        "started_at": iso_from_microseconds(first.connected_at_us),
        "ended_at": None if call.ended_us is None else iso_from_microseconds(call.ended_us),
        "audio_started_at": None,
        "duration_seconds": max(
            (participant["recorded_seconds"] for participant in participants), default=0.0
        ),
        "continued_from": first.continued_from or None,
        "continued_in": None,
        "canary": identity.is_canary(first.call_connection_id),
        "participants": participants,
        "subscriptions": [facts for stream in call.streams for facts in _subscriptions(stream)],
    }


def _subscriptions(stream: Stream) -> Iterable[SubscriptionData]:
    """Yields a subscription in the form of REST for each metadata; one without facts before the
    first.
    """
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
            "counts": _counts(counts),
        }


def _counts(counts: Counts) -> CountsData:
    return {
        "audio": counts.audio,
        "dtmf": counts.dtmf,
        "unknown": counts.unknown,
        "malformed": counts.malformed,
        "duplicate": 0,  # these two are counted when the journal is sealed
        "late": 0,
        "odd_timestamp": counts.odd_timestamp,
    }
