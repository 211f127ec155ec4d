"""Messages of recording processes and of the live socket, and the form of a call in them. PURE."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NotRequired, TypedDict

SILENCE_DBFS = -96.0

BrowserMessage = dict[str, Any]
"""One JSON object for the browser, with its `type` (docs/dashboard.md, "The socket")."""

Levels = dict[str, list[float]]
"""Participant id -> [rms dBFS, peak dBFS]."""


class CountsData(TypedDict):
    """Messages of one subscription, by outcome."""

    audio: int
    dtmf: int
    unknown: int
    malformed: int
    duplicate: int
    late: int
    odd_timestamp: int


class SubscriptionData(TypedDict):
    """A subscription of `CallData`."""

    id: str
    subscription_id: str
    encoding: str
    sample_rate: int | None
    channels: int | None
    length: float | None
    connected_at: str
    disconnected_at: str | None
    close_code: int | None
    counts: CountsData


class ParticipantData(TypedDict):
    """A participant of `CallData`."""

    id: str
    raw_id: str
    kind: str
    display_name: str
    label: str
    recorded_seconds: float
    gap_seconds: float


class CallData(TypedDict):
    """A call as in REST (`GET /api/v1/calls/<id>/`); times in ISO 8601, UTC.

    `calls.serializers.CallSerializer` builds it from rows, `streams.live.board.as_in_rest` from
    open streams. Tests hold both to these members.
    """

    id: str
    call_connection_id: str
    correlation_id: str
    state: str
    started_at: str
    ended_at: str | None
    audio_started_at: str | None
    duration_seconds: float
    continued_from: str | None
    continued_in: str | None
    canary: bool
    participants: list[ParticipantData]
    subscriptions: list[SubscriptionData]


class AlarmNews(TypedDict):
    """An active alarm. `call` None: of the process; `participant` None: of the whole call.

    `since`: ISO 8601.
    """

    call: str | None
    participant: str | None
    alarm: str
    since: str


class Totals(TypedDict):
    """Totals of one process: packets in the last second, age of its oldest unsealed journal."""

    packets_per_second: float
    seal_lag_seconds: float


class Refusals(TypedDict):
    """Refused handshakes of the last hour by reason (`calls.wording.REFUSALS`): from ACS, and from
    clients that do not look like ACS.
    """

    from_acs: dict[str, int]
    others: dict[str, int]


class RecorderState(TypedDict):
    """The recording processes, as the database knows them. `silent_since`: when the first of those
    was last heard of that have died or are cut off, in ISO 8601; None if there are none. `unseen`:
    number of those whose live calls this process cannot show, as they share no Redis with it.
    """

    reporting: int
    silent_since: str | None
    unseen: int
    refused: Refusals


NO_RECORDERS = RecorderState(
    reporting=0, silent_since=None, unseen=0, refused=Refusals(from_acs={}, others={})
)


class News(TypedDict):
    """The news of one process in one tick.

    `calls`: new and changed calls, and each call of the process at least every `REPEAT_SECONDS`, so
    that a dashboard that missed one learns it again. `ended`: calls that this process no longer
    holds, as they ended. `levels`: of the newest window. `alarms`: all active alarms of the
    process, when one was raised or cleared and about once a second while any is active.
    `listeners`: number of listeners by call id, for all calls of the process, when one has changed
    and about once a second while there are any. `totals`: about once a second. `minutes`: sent with
    the calls; by participant id, the loudness of each second of the last minute (`step_of`), the
    newest last. `number`: a counter of the process's news, from any start; a hole in it shows a
    dashboard at once that news were lost.
    """

    process: str
    levels: Levels
    calls: NotRequired[list[CallData]]
    ended: NotRequired[list[CallData]]
    alarms: NotRequired[list[AlarmNews]]
    listeners: NotRequired[dict[str, int]]
    totals: NotRequired[Totals]
    minutes: NotRequired[dict[str, str]]
    number: NotRequired[int]


class ReportedEnd(TypedDict):
    """The end of a call that ACS has reported, for the process that records it. One of the ids is
    "". `at`: ISO 8601.
    """

    call_connection_id: str
    correlation_id: str
    at: str


REPEAT_SECONDS = 5.0
"""Longest interval between two repetitions of a call by a process that holds it."""

HELD_FOR = timedelta(seconds=3 * REPEAT_SECONDS)
"""A call or alarm that its process has not repeated for this long is no longer held: the process
has died or is cut off.
"""

NO_AUDIO = "."
"""A second without packets. Otherwise a digit: 0 below -54 dBFS, one more per 6 dB, 9 above -6."""


def step_of(rms_dbfs: float) -> str:
    """Returns the loudness of a second as one character; below -96 dBFS, `NO_AUDIO`."""
    if rms_dbfs < SILENCE_DBFS:
        return NO_AUDIO
    return str(min(9, max(0, int((rms_dbfs + 60) // 6))))
