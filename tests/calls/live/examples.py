"""Calls and news as small sentences."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from calls import identity
from calls.live.messages import AlarmNews, News
from calls.live.view import Call

CUSTOMER, AGENT = "4:+15551234567", "8:acs:7f3b_c2d81a"


def a_call(number: int = 1, *raw_ids: str, **facts: Any) -> Call:
    """A live call as REST shows it, with a participant for each raw id."""
    call_id = UUID(int=number)
    return {
        "id": str(call_id),
        "call_connection_id": f"connection-{number}",
        "correlation_id": "",
        "state": "live",
        "started_at": f"2026-11-23T10:00:{number % 60:02d}Z",
        "ended_at": None,
        "audio_started_at": None,
        "duration_seconds": 0.0,
        "participants": [a_participant(call_id, raw_id) for raw_id in raw_ids],
        "subscriptions": [],
        **facts,
    }


def a_participant(call_id: UUID, raw_id: str) -> dict[str, Any]:
    return {
        "id": str(identity.participant_id_of(call_id, raw_id)),
        "raw_id": raw_id,
        "kind": identity.kind_of(raw_id),
        "display_name": "",
        "recorded_seconds": 0.0,
        "gap_seconds": 0.0,
    }


def a_subscription(name: str, **facts: Any) -> dict[str, Any]:
    return {
        "id": name,
        "subscription_id": name,
        "encoding": "PCM",
        "sample_rate": 16000,
        "channels": 1,
        "length": 640.0,
        "connected_at": "2026-11-23T10:00:00Z",
        "disconnected_at": None,
        "close_code": None,
        "counts": {"audio": 0, "dtmf": 0, "unknown": 0, "malformed": 0, "duplicate": 0, "late": 0},
        **facts,
    }


def an_alarm(name: str = "stalled", call: Call | None = None, **facts: Any) -> AlarmNews:
    """Of this call, or of the process."""
    alarm = {
        "call": call and call["id"],
        "participant": None,
        "alarm": name,
        "since": "2026-11-23T10:00:05Z",
        **facts,
    }
    return cast("AlarmNews", alarm)


def news(process: str = "one", **what: Any) -> News:
    return cast("News", {"process": process, "levels": {}, **what})


def ended(call: Call, state: str = "ended", at: str = "2026-11-23T10:05:00Z") -> Call:
    return {**call, "state": state, "ended_at": at}
