"""Events of ACS from JSON: CloudEvents 1.0, and Event Grid's own schema. PURE.

Strict about the shape, since a wrong one shows that the sender is not ACS or has changed; lenient
about everything else: members that are not known, types that are not known, missing call ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from calls.coverage.acs_events import canonical_type

MAX_DEPTH = 32
"""Deepest nesting of an event. Those of ACS have about six levels."""

VALIDATION = "microsoft.eventgrid.subscriptionvalidationevent"

# Of printable ASCII, so that an index can hold them: Postgres refuses keys of 2.7 kB and more.
Id = Annotated[str, Meta(max_length=256, pattern=r"^[ -~]*\Z")]
ServerCallId = Annotated[str, Meta(max_length=1024, pattern=r"^[ -~]*\Z")]
EventId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[ -~]*\Z")]
Source = Annotated[str, Meta(max_length=2048, pattern=r"^[ -~]*\Z")]
Type = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[ -~]*\Z")]
Time = Annotated[datetime, Meta(tz=True)]
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

S = TypeVar("S", bound=Struct)

_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)


class Malformed(Exception):
    """The body is not what ACS sends. `field`: a path such as `[2].data.callConnectionId`; "" if it
    is the whole body.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field, self.problem = field, problem


class ReceivedEvent(NamedTuple):
    """One event. `source` and `event_id` together identify it; `type` is canonical."""

    source: str
    event_id: str
    type: str
    occurred_at: datetime
    call_connection_id: str
    correlation_id: str
    server_call_id: str
    sequence_number: int | None
    data: dict[str, Any]


class Batch(NamedTuple):
    """The events of one request; `validation_code` of Event Grid's handshake, "" without one."""

    events: list[ReceivedEvent]
    validation_code: str = ""


class _CloudEvent(Struct):
    id: EventId
    source: Source
    type: Type
    time: Time
    data: dict[str, Any] = {}


class _GridEvent(Struct, rename="camel"):
    id: EventId
    event_type: Type
    event_time: Time
    topic: Source = ""
    data: dict[str, Any] = {}


class _Ids(Struct, rename="camel"):
    call_connection_id: Id | None = None
    correlation_id: Id | None = None
    server_call_id: ServerCallId | None = None
    sequence_number: Number | None = None


class _Validation(Struct, rename="camel"):
    validation_code: Annotated[str, Meta(min_length=1, max_length=1024)]


def parse(body: bytes) -> Batch:
    """Returns the events of a request: a JSON array, or one event alone. Raises `Malformed`."""
    try:
        document = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Malformed("", "The body is not JSON.") from None
    except RecursionError:
        raise Malformed("", "The JSON is nested too deeply.") from None
    if not isinstance(document, list):
        document = [document]
    batch = Batch([])
    for index, item in enumerate(document):
        place = f"[{index}]"
        if not isinstance(item, dict):
            raise Malformed(place, "An event is a JSON object.")
        event = _event(_without_nul(item, place), place)
        if event.type.casefold() == VALIDATION:
            code = _converted(event.data, _Validation, f"{place}.data").validation_code
            batch = batch._replace(validation_code=code)
        else:
            batch.events.append(event)
    return batch


def _event(item: dict[str, Any], place: str) -> ReceivedEvent:
    if "eventType" in item:
        grid = _converted(item, _GridEvent, place)
        return _received(grid.topic, grid.id, grid.event_type, grid.event_time, grid.data, place)
    cloud = _converted(item, _CloudEvent, place)
    return _received(cloud.source, cloud.id, cloud.type, cloud.time, cloud.data, place)


def _received(
    source: str, event_id: str, name: str, time: datetime, data: dict[str, Any], place: str
) -> ReceivedEvent:
    ids = _converted(data, _Ids, f"{place}.data")
    return ReceivedEvent(
        source=source,
        event_id=event_id,
        type=canonical_type(name),
        occurred_at=_in_utc(time),
        call_connection_id=ids.call_connection_id or _connection_in(source),
        correlation_id=ids.correlation_id or "",
        server_call_id=ids.server_call_id or "",
        sequence_number=ids.sequence_number,
        data=data,
    )


def _converted(value: dict[str, Any], into: type[S], place: str) -> S:
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        field = path.removesuffix("`").removeprefix("$")
        if missing := _missing_field(problem):  # msgspec names its place only
            field, problem = f"{field}.{missing}", "This member is missing."
        raise Malformed(f"{place}{field}", problem) from None


def _missing_field(problem: str) -> str:
    start = "Object missing required field `"
    return problem.removeprefix(start).removesuffix("`") if problem.startswith(start) else ""


def _connection_in(source: str) -> str:
    """Returns the id in a source such as `calling/callConnections/<id>/CallConnected`."""
    _, found, rest = source.partition("callConnections/")
    return rest.partition("/")[0][:256] if found else ""


def _in_utc(time: datetime) -> datetime:
    """Returns the time in UTC; at the ends of the calendar, a day within it."""
    naive, offset = time.replace(tzinfo=UTC), time.utcoffset() or timedelta()
    return min(max(naive, _EARLIEST), _LATEST) - offset


def _without_nul(value: Any, place: str, depth: int = 0) -> Any:
    """Returns JSON without NUL characters, which Postgres cannot store."""
    if depth > MAX_DEPTH:
        raise Malformed(place, "The event is nested too deeply.")
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item, place, depth + 1) for item in value]
    if isinstance(value, dict):
        return dict(_members(value, place, depth + 1))
    return value


def _members(value: dict[str, Any], place: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, member in value.items():
        yield name.replace("\0", ""), _without_nul(member, place, depth)
