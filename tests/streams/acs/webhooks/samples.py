"""Events as Microsoft documents them, and requests that carry them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

CONNECTION = "401f3500-62bd-46a9-8c09-9e1b06caca01"
CORRELATION = "ebd8bf1f-0794-494f-bdda-913042c06ef7"
SERVER_CALL = "aHR0cHM6Ly9jb252LnNreXBlLmNvbS9jb252L21UODZ1Xw"
START = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
ANN = "8:acs:816df1ca-971b-44d7-b8b1-8fba90748500_00000013-2ff6-dd51-54b7-a43a0d001998"
BEN = "4:+15551234567"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def callback(
    name: str,
    seconds: float = 0.0,
    *,
    event_id: str = "",
    connection: str = CONNECTION,
    **data: Any,
) -> dict[str, Any]:
    """Returns a CloudEvent of Call Automation."""
    return {
        "id": event_id or f"{name}-{seconds}",
        "source": f"calling/callConnections/{connection}/{name}",
        "type": f"Microsoft.Communication.{name}",
        "data": {
            "callConnectionId": connection,
            "serverCallId": SERVER_CALL,
            "correlationId": CORRELATION,
            **data,
        },
        "time": at(seconds).strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00"),
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": f"calling/callConnections/{connection}/{name}",
    }


def grid_event(
    name: str, seconds: float = 0.0, *, event_id: str = "", **data: Any
) -> dict[str, Any]:
    """Returns an event in Event Grid's own schema."""
    return {
        "id": event_id or f"{name}-{seconds}",
        "topic": "/subscriptions/s/resourcegroups/g/providers/microsoft.communication/"
        "communicationservices/r",
        "subject": f"call/{SERVER_CALL}",
        "data": {"serverCallId": SERVER_CALL, "correlationId": CORRELATION, **data},
        "eventType": f"Microsoft.Communication.{name}",
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": at(seconds).strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
    }


def as_cloud_event(event: dict[str, Any]) -> dict[str, Any]:
    """Returns the same event of Event Grid in the CloudEvents schema."""
    return {
        "id": event["id"],
        "source": event["topic"],
        "subject": event["subject"],
        "type": event["eventType"],
        "time": event["eventTime"],
        "specversion": "1.0",
        "data": event["data"],
    }


def incoming_call(seconds: float = 0.0, name: str = "Ben Doe") -> dict[str, Any]:
    return grid_event(
        "IncomingCall",
        seconds,
        event_id="",
        **{
            "to": {"kind": "communicationUser", "rawId": ANN},
            "from": {"kind": "phoneNumber", "rawId": BEN, "phoneNumber": {"value": BEN[2:]}},
            "callerDisplayName": name,
            "incomingCallContext": "eyJhbGciOiJub25lIn0.e30.",
            "customContext": {"sipHeaders": {"X-MS-Custom-Queue": "7"}, "voipHeaders": {}},
        },
    )


VALIDATION = {
    "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
    "topic": "/subscriptions/s",
    "subject": "",
    "data": {
        "validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6",
        "validationUrl": "https://x",
    },
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "eventTime": "2026-11-30T09:00:00.1234567Z",
    "metadataVersion": "1",
    "dataVersion": "1",
}


def body_of(*events: dict[str, Any]) -> bytes:
    return json.dumps(events).encode()
