"""Builders of calls, alarms and news, named as small sentences."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from calls import identity
from calls.live.messages import AlarmNews, CallData, News, ParticipantData, SubscriptionData

CUSTOMER, AGENT = "4:+15551234567", "8:acs:7f3b_c2d81a"


def a_call(number: int = 1, *raw_ids: str, **members: Any) -> CallData:
    """Returns a live call as in REST, with a participant for each raw id."""
    call_id = UUID(int=number)
    call: CallData = {
        "id": str(call_id),
        "call_connection_id": f"connection-{number}",
        "correlation_id": "",
        "state": "live",
        "started_at": f"2026-11-23T10:00:{number % 60:02d}Z",
        "ended_at": None,
        "audio_started_at": None,
        "continued_from": None,
        "continued_in": None,
        "canary": False,
        "duration_seconds": 0.0,
        "participants": [a_participant(call_id, raw_id) for raw_id in raw_ids],
        "subscriptions": [],
    }
    return cast("CallData", {**call, **members})


def a_participant(call_id: UUID, raw_id: str) -> ParticipantData:
    return {
        "id": str(identity.participant_id_of(call_id, raw_id)),
        "raw_id": raw_id,
        "kind": identity.kind_of(raw_id),
        "display_name": "",
        "label": identity.label_of(raw_id),
        "recorded_seconds": 0.0,
        "gap_seconds": 0.0,
    }


def a_subscription(name: str, **counts: int) -> SubscriptionData:
    """Returns an open subscription; `counts`: members of its `counts` that are not 0."""
    none = {"audio": 0, "dtmf": 0, "unknown": 0, "malformed": 0, "duplicate": 0, "late": 0}
    none["odd_timestamp"] = 0
    subscription = {
        "id": name,
        "subscription_id": name,
        "encoding": "PCM",
        "sample_rate": 16000,
        "channels": 1,
        "length": 640.0,
        "connected_at": "2026-11-23T10:00:00Z",
        "disconnected_at": None,
        "close_code": None,
        "counts": {**none, **counts},
    }
    return cast("SubscriptionData", subscription)


def an_alarm(name: str = "stalled", call: CallData | None = None, **members: Any) -> AlarmNews:
    """Returns an alarm of this call, or of the process."""
    alarm = {
        "call": call and call["id"],
        "participant": None,
        "alarm": name,
        "since": "2026-11-23T10:00:05Z",
        **members,
    }
    return cast("AlarmNews", alarm)


def news(process: str = "one", **members: Any) -> News:
    return cast("News", {"process": process, "levels": {}, **members})


def ended(call: CallData, state: str = "ended", at: str = "2026-11-23T10:05:00Z") -> CallData:
    return {**call, "state": state, "ended_at": at}
