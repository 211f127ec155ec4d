"""The live calls of several processes and of the database, merged into one picture. PURE.

A call may have sockets in several processes; each reports its own facts, and the database has the
sealed ones. The view holds the union. Its changes come out as messages for the browser, in order:

    News, rows  ──▶  LiveView  ──▶  call.started | call.updated | call.ended
                                    alarm | alarm.cleared | listening

A call stays while a process holds it (repeats it at least every `REPEAT_SECONDS`) or while it is
live in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from calls import identity
from calls.live.alarms import LiveAlarms
from calls.live.listeners import LiveListeners
from calls.live.messages import HELD_FOR, BrowserMessage, CallData, News, ParticipantData
from calls.live.totals import LiveTotals
from calls.times import iso_text

MISSED_AFTER = timedelta(seconds=2)
"""A process that holds calls publishes ten times a second: after a longer pause, news may have been
lost.
"""

ENDED_FOR = timedelta(seconds=60)
"""For this long a stale "live" row does not revive an ended call: rows follow the news."""

_EARLIEST = frozenset({"started_at", "audio_started_at", "connected_at"})
_LATEST = frozenset({"disconnected_at"})
_TICKING = frozenset({"duration_seconds", "recorded_seconds", "counts"})
"""Members that grow all the time: a change of these alone is not sent."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Report:
    """The last report of one process on one call; `is_held`: the process has a socket of it."""

    call: CallData
    at: datetime
    is_held: bool


class LiveView:
    """The picture of one dashboard socket. `now`: the current time, aware."""

    def __init__(self) -> None:
        self._reports: dict[str, dict[str, _Report]] = {}  # by call id and process
        self._stored: dict[str, CallData] = {}  # live in the database
        self._shown: dict[str, CallData] = {}
        # By call and participant: names given since the call was read from the database.
        self._names: dict[str, dict[str, str]] = {}
        self._ended: dict[str, datetime] = {}  # when calls ended, for ENDED_FOR
        self._alarms = LiveAlarms()
        self._listeners = LiveListeners()
        self.totals = LiveTotals()
        # By process: the time and number of its last news.
        self._last_news: dict[str, tuple[datetime, int | None]] = {}

    def missed(self, news: News, now: datetime) -> bool:
        """Returns whether earlier news of this process were lost. Call it before `apply`."""
        process = news["process"]
        if process not in self._last_news:
            return False
        last_at, number = self._last_news[process]
        if number is not None and "number" in news:
            return news["number"] != number + 1
        if now - last_at <= MISSED_AFTER:
            return False
        return any(
            process in reports and reports[process].is_held for reports in self._reports.values()
        )

    def apply(self, news: News, now: datetime) -> list[BrowserMessage]:
        """Takes in the news of a process; returns the resulting changes. Levels are ignored."""
        process = news["process"]
        self._last_news[process] = (now, news.get("number"))
        changes: list[BrowserMessage] = []
        if "totals" in news:
            self.totals.update(process, news["totals"], now)
        for call in news.get("calls", ()):
            self._ended.pop(call["id"], None)
            self._reports.setdefault(call["id"], {})[process] = _Report(call, now, is_held=True)
            changes += self._refresh(call["id"])
        for call in news.get("ended", ()):
            self._reports.setdefault(call["id"], {})[process] = _Report(call, now, is_held=False)
            is_held = self._is_held(call["id"], now)
            changes += self._refresh(call["id"]) if is_held else self._end(call["id"], now)
        if "alarms" in news:  # a call comes before its alarms, and goes after them
            alarms = self._alarms.update(process, news["alarms"], now)
            changes = [*alarms.cleared, *changes, *alarms.raised]
        if "listeners" in news:
            changes += self._listeners.update(process, news["listeners"], now)
        return changes

    def reconcile(self, stored: list[CallData], now: datetime) -> list[BrowserMessage]:
        """Takes in all live calls of the database; ends the calls that nobody holds any more."""
        changes = self.expire(now)
        self._stored = {call["id"]: call for call in stored if call["id"] not in self._ended}
        for call_id in self._stored:
            self._names.pop(call_id, None)
        for call_id in list(self._stored | self._reports | self._shown):
            stays = call_id in self._stored or self._is_held(call_id, now)
            changes += self._refresh(call_id) if stays else self._end(call_id, now)
        return changes

    def rename(self, names: Iterable[tuple[str, str, str]]) -> list[BrowserMessage]:
        """Takes in names of participants: call, participant, name. Recorders do not know them."""
        changes: list[BrowserMessage] = []
        for call_id, participant_id, name in names:
            if call_id in self._shown:
                self._names.setdefault(call_id, {})[participant_id] = name
                changes += self._refresh(call_id)
        return changes

    def needs_database(self, now: datetime) -> bool:
        """Returns whether a shown call is held by no process: only the database can tell whether it
        is still live.
        """
        return any(not self._is_held(call_id, now) for call_id in self._shown)

    def expire(self, now: datetime) -> list[BrowserMessage]:
        """Drops ended calls, and the alarms and listeners of processes that are gone."""
        self._ended = {call_id: at for call_id, at in self._ended.items() if now - at <= ENDED_FOR}
        self._last_news = {
            process: last for process, last in self._last_news.items() if now - last[0] <= ENDED_FOR
        }
        alarms = self._alarms.expire(now)
        return alarms.cleared + alarms.raised + self._listeners.expire(now)

    def snapshot(self) -> BrowserMessage:
        """Returns all calls, newest first as in the database, alarms and listeners."""
        newest_first = sorted(
            self._shown.values(), key=lambda call: _moment(call.get("started_at")), reverse=True
        )
        alarms, listening = self._alarms.as_list(), self._listeners.shown
        return {"type": "snapshot", "calls": newest_first, "alarms": alarms, "listening": listening}

    def _refresh(self, call_id: str) -> list[BrowserMessage]:
        calls = [report.call for _, report in sorted(self._reports.get(call_id, {}).items())]
        if call_id in self._stored:
            calls.insert(0, self._stored[call_id])
        call: CallData = {**_merge_all(calls), "state": "live", "ended_at": None}
        call["participants"] = _named(call, self._names.get(call_id, {}))
        before = self._shown.get(call_id)
        self._shown[call_id] = call
        if before is None:
            return [{"type": "call.started", "call": call}]
        is_changed = _without_ticking(before) != _without_ticking(call)
        return [{"type": "call.updated", "call": call}] if is_changed else []

    def _end(self, call_id: str, now: datetime) -> list[BrowserMessage]:
        reports = self._reports.pop(call_id, {}).values()
        self._stored.pop(call_id, None)
        self._ended[call_id] = now
        names = self._names.pop(call_id, {})
        if (shown := self._shown.pop(call_id, None)) is None:
            return []  # it came and went unseen
        call = _merge_all([shown, *(report.call for report in reports)])
        call["participants"] = _named(call, names)
        if endings := [report.call for report in reports if not report.is_held]:
            last = max(endings, key=_ending)
            call |= {"state": last["state"], "ended_at": last["ended_at"]}
        else:  # no process reported an end: the last one that held the call has died
            last_report_at = max((report.at for report in reports), default=now)
            call |= {"state": "interrupted", "ended_at": iso_text(last_report_at)}
        return [{"type": "call.ended", "call": call}]

    def _is_held(self, call_id: str, now: datetime) -> bool:
        return any(
            report.is_held and now - report.at <= HELD_FOR
            for report in self._reports.get(call_id, {}).values()
        )


def merge(first: CallData, second: CallData) -> CallData:
    """Merges two reports on one call: commutative, associative and idempotent."""
    last = max(first, second, key=_ending)
    merged = {
        **_merge_members(first, second),
        "state": last.get("state"),
        "ended_at": last.get("ended_at"),
    }
    return cast("CallData", merged)


def _merge_all(calls: list[CallData]) -> CallData:
    assert calls, "a call is shown because a process or the database reported it"
    merged = calls[0]
    for call in calls[1:]:
        merged = merge(merged, call)
    return merged


def _merge_members(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in {**first, **second}:
        one, other = first.get(name), second.get(name)
        if one is None or other is None:
            merged[name] = other if one is None else one
        elif name in _EARLIEST:
            merged[name] = min(one, other, key=_order)
        elif name in _LATEST:
            merged[name] = max(one, other, key=_order)
        elif isinstance(one, list):
            # Participants or subscriptions, in the order of the first list; others follow.
            by_id = {item["id"]: item for item in one}
            for item in other:
                by_id[item["id"]] = _merge_members(by_id.get(item["id"], {}), item)
            merged[name] = list(by_id.values())
        elif isinstance(one, dict):
            merged[name] = _merge_members(one, other)
        else:  # seconds and counts grow, and any text is more than none
            merged[name] = max(one, other)
    return merged


def _named(call: CallData, names: Mapping[str, str]) -> list[ParticipantData]:
    """Returns the participants with these names by id, and with labels that follow their names."""
    participants = []
    for participant in call.get("participants", []):
        name = names.get(participant["id"], participant["display_name"])
        label = name or identity.label_of(participant["raw_id"])
        named: ParticipantData = {**participant, "display_name": name, "label": label}
        participants.append(named)
    return participants


def _ending(call: CallData) -> tuple[bool, tuple[datetime, str], str]:
    """Sort key for the last to end: live comes after all ends, then the later moment."""
    return call.get("state") == "live", _order(call.get("ended_at")), str(call.get("state"))


def _order(time: str | None) -> tuple[datetime, str]:
    return _moment(time), time or ""


def _moment(time: str | None) -> datetime:
    return datetime.fromisoformat(time) if time else _LONG_AGO


def _without_ticking(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_ticking(member) for name, member in value.items() if name not in _TICKING
        }
    return [_without_ticking(item) for item in value] if isinstance(value, list) else value
