"""What several processes and the database say of the calls of this moment, made into one picture.
PURE.

A call may have sockets in several processes; each tells what it knows, and the database knows what
is sealed. The picture holds the union. What changes in it comes out as messages for the browser, in
order:

    News, rows  ──▶  LiveView  ──▶  call.started | call.updated | call.ended | alarm | alarm.cleared
    | listening

A call stays while a process holds it (repeats it at least every `live.REPEAT_SECONDS`) or the
database calls it live.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from calls.live.alarms import LiveAlarms
from calls.live.listeners import LiveListeners
from calls.live.messages import HELD_FOR, News
from calls.live.totals import LiveTotals
from calls.times import iso_text

Call = dict[str, Any]
"""A call as REST shows it."""
Message = dict[str, Any]
"""One JSON object on its way to the browser, with its `type`."""

MISSED_AFTER = timedelta(seconds=2)
"""A process that holds calls speaks ten times a second: after such a pause, news may have been
lost.
"""

OVER_FOR = timedelta(seconds=60)
"""So long the database's word that a call is live does not bring back one that has ended: rows
follow the news.
"""

_EARLIEST = frozenset({"started_at", "audio_started_at", "connected_at"})
_LATEST = frozenset({"disconnected_at"})
_TICKING = frozenset({"duration_seconds", "recorded_seconds", "counts"})
"""Members that grow all the time: alone they are no reason to tell the browser."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Told:
    """What one process told of one call, when, and whether it holds a socket of it."""

    call: Call
    at: datetime
    holds: bool


class LiveView:
    """The picture of one dashboard socket. `now` is always the present moment, aware."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, _Told]] = {}  # call id, process
        self._stored: dict[str, Call] = {}  # live, says the database
        self._shown: dict[str, Call] = {}
        self._over: dict[str, datetime] = {}  # when calls ended, for OVER_FOR
        self._alarms = LiveAlarms()
        self._listeners = LiveListeners()
        self.totals = LiveTotals()
        self._heard: dict[
            str, tuple[datetime, int | None]
        ] = {}  # when each process spoke last, and its number

    def missed(self, news: News, now: datetime) -> bool:
        """Whether news of this process were lost before these. Asked before `apply`."""
        if news["process"] not in self._heard:
            return False
        heard_at, number = self._heard[news["process"]]
        if number is not None and "number" in news:
            return news["number"] != number + 1
        return now - heard_at > MISSED_AFTER and self._holds_any(news["process"])

    def apply(self, news: News, now: datetime) -> list[Message]:
        """Takes in what a process says; the messages say what it changed. Levels are not looked
        at.
        """
        process = news["process"]
        self._heard[process] = (now, news.get("number"))
        messages: list[Message] = []
        if "totals" in news:
            self.totals.update(process, news["totals"], now)
        for call in news.get("calls", ()):
            self._over.pop(call["id"], None)
            self._told.setdefault(call["id"], {})[process] = _Told(call, now, holds=True)
            messages += self._redraw(call["id"])
        for call in news.get("ended", ()):
            self._told.setdefault(call["id"], {})[process] = _Told(call, now, holds=False)
            messages += (
                self._redraw(call["id"])
                if self._is_held(call["id"], now)
                else self._end(call["id"], now)
            )
        if "alarms" in news:
            changes = self._alarms.update(process, news["alarms"], now)
            messages = [
                *changes.cleared,
                *messages,
                *changes.raised,
            ]  # a call comes before its alarms, and goes after
        if "listeners" in news:
            messages += self._listeners.update(process, news["listeners"], now)
        return messages

    def reconcile(self, stored: list[Call], now: datetime) -> list[Message]:
        """Compares with all calls that are live in the database, and ends those that nobody holds
        any more.
        """
        messages = self.expire(now)
        self._stored = {call["id"]: call for call in stored if call["id"] not in self._over}
        for call_id in list(self._stored | self._told | self._shown):
            stays = call_id in self._stored or self._is_held(call_id, now)
            messages += self._redraw(call_id) if stays else self._end(call_id, now)
        return messages

    def wants_database(self, now: datetime) -> bool:
        """Whether a call is shown that no process holds: only the database can say if it is still
        live.
        """
        return any(not self._is_held(call_id, now) for call_id in self._shown)

    def expire(self, now: datetime) -> list[Message]:
        """Lets go of what is kept for a while only: calls that ended; processes that are gone,
        alarms and listeners.
        """
        self._over = {call_id: at for call_id, at in self._over.items() if now - at <= OVER_FOR}
        self._heard = {
            process: last for process, last in self._heard.items() if now - last[0] <= OVER_FOR
        }
        changes = self._alarms.expire(now)
        return changes.cleared + changes.raised + self._listeners.expire(now)

    def snapshot(self) -> Message:
        """All calls of the picture, newest first, as the database lists them, alarms and
        listeners.
        """
        newest_first = sorted(
            self._shown.values(), key=lambda call: _moment(call.get("started_at")), reverse=True
        )
        alarms, listening = self._alarms.as_list(), self._listeners.shown
        return {"type": "snapshot", "calls": newest_first, "alarms": alarms, "listening": listening}

    def _redraw(self, call_id: str) -> list[Message]:
        witnesses = [told.call for _process, told in sorted(self._told.get(call_id, {}).items())]
        if call_id in self._stored:
            witnesses.insert(0, self._stored[call_id])
        call = {**_merge_all(witnesses), "state": "live", "ended_at": None}
        before = self._shown.get(call_id)
        self._shown[call_id] = call
        if before is None:
            return [{"type": "call.started", "call": call}]
        return [{"type": "call.updated", "call": call}] if _facts(before) != _facts(call) else []

    def _end(self, call_id: str, now: datetime) -> list[Message]:
        told = self._told.pop(call_id, {}).values()
        self._stored.pop(call_id, None)
        self._over[call_id] = now
        if (shown := self._shown.pop(call_id, None)) is None:
            return []  # it came and went unseen
        call = _merge_all([shown, *(witness.call for witness in told)])
        if endings := [witness.call for witness in told if not witness.holds]:
            last = max(endings, key=_ending)
            call |= {"state": last["state"], "ended_at": last["ended_at"]}
        else:  # nobody said so: its process has died, and told us last at some moment
            last_told = max((witness.at for witness in told), default=now)
            call |= {"state": "interrupted", "ended_at": iso_text(last_told)}
        return [{"type": "call.ended", "call": call}]

    def _is_held(self, call_id: str, now: datetime) -> bool:
        return any(
            told.holds and now - told.at <= HELD_FOR
            for told in self._told.get(call_id, {}).values()
        )

    def _holds_any(self, process: str) -> bool:
        return any(process in told and told[process].holds for told in self._told.values())


def merge(first: Call, second: Call) -> Call:
    """What two witnesses know of one call. It matters neither who speaks first nor how often one
    speaks.
    """
    last = max(first, second, key=_ending)
    return {
        **_merge_members(first, second),
        "state": last.get("state"),
        "ended_at": last.get("ended_at"),
    }


def _merge_all(calls: list[Call]) -> Call:
    assert calls, "a call is shown because somebody spoke of it"
    united = calls[0]
    for call in calls[1:]:
        united = merge(united, call)
    return united


def _merge_members(first: Call, second: Call) -> Call:
    return {name: _merge_member(name, first.get(name), second.get(name)) for name in first | second}


def _merge_member(name: str, first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    if name in _EARLIEST:
        return min(first, second, key=_order)
    if name in _LATEST:
        return max(first, second, key=_order)
    if isinstance(first, list):
        return _merge_by_id(first, second)
    if isinstance(first, dict):
        return _merge_members(first, second)
    return max(first, second)  # seconds and counts grow, and any text says more than none


def _merge_by_id(first: list[Call], second: list[Call]) -> list[Call]:
    """Participants, subscriptions: in the order of the first list, then those that only the second
    has.
    """
    united = {item["id"]: item for item in first}
    for item in second:
        united[item["id"]] = (
            _merge_members(united[item["id"]], item) if item["id"] in united else item
        )
    return list(united.values())


def _ending(call: Call) -> tuple[bool, tuple[datetime, str], str]:
    """Who is the last to end: live outlasts all, then the later moment."""
    return call.get("state") == "live", _order(call.get("ended_at")), str(call.get("state"))


def _order(time: str | None) -> tuple[datetime, str]:
    return _moment(time), time or ""


def _moment(time: str | None) -> datetime:
    return datetime.fromisoformat(time) if time else _LONG_AGO


def _facts(value: Any) -> Any:
    """The value without its ticking members."""
    if isinstance(value, dict):
        return {name: _facts(member) for name, member in value.items() if name not in _TICKING}
    return [_facts(item) for item in value] if isinstance(value, list) else value
