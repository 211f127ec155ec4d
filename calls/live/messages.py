"""Messages that recording processes publish ten times a second, and the words in them. PURE."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NotRequired, TypedDict

SILENCE_DBFS = -96.0


class AlarmNews(TypedDict):
    """An alarm that is on. `call` None: of the process; `participant` None: of the whole call.
    `since`: ISO 8601.
    """

    call: str | None
    participant: str | None
    alarm: str
    since: str


class Totals(TypedDict):
    """Of one process: audio messages of the last second; age of the oldest finished journal that is
    not sealed.
    """

    packets_per_second: float
    seal_lag_seconds: float


class News(TypedDict):
    """What one process says in one tick.

    `calls` holds calls as in REST (`GET /api/v1/calls/<id>/`), whole, when they are new or changed,
    and each of the process's calls at least every `REPEAT_SECONDS`, so that a dashboard that missed
    one learns it again. `ended` holds calls that this process no longer holds, as they ended.
    `levels` maps participant ids to [rms dBFS, peak dBFS] of the newest window. `alarms` holds all
    that are on in the process, whole, when one has come or gone and about once a second while any
    is on. `listeners` holds how many listen in on which of its calls, whole, when that has changed
    and about once a second while anybody does. `totals` come about once a second. `minutes` go with
    the calls: by participant id, what was heard of it in each second of the last minute
    (`step_of`), the newest last. `number` counts the news of the process one by one, from any
    start: a hole in
    it tells a dashboard at
    once that news were lost.
    """

    process: str
    levels: dict[str, list[float]]
    calls: NotRequired[list[dict[str, Any]]]
    ended: NotRequired[list[dict[str, Any]]]
    alarms: NotRequired[list[AlarmNews]]
    listeners: NotRequired[dict[str, int]]
    totals: NotRequired[Totals]
    minutes: NotRequired[dict[str, str]]
    number: NotRequired[int]


REPEAT_SECONDS = 5.0


HELD_FOR = timedelta(seconds=3 * REPEAT_SECONDS)
"""A process that has not repeated a call or an alarm for so long holds it no more: it has died, or
it is cut off.
"""


NO_AUDIO = "."
"""A second in which nothing came. Else a digit: 0 below -54 dBFS, one more for each 6 dB, 9 above
-6 dBFS.
"""


def step_of(rms_dbfs: float) -> str:
    """How loud a second was, as one character; below -96 dBFS nothing came at all."""
    if rms_dbfs < SILENCE_DBFS:
        return NO_AUDIO
    return str(min(9, max(0, int((rms_dbfs + 60) // 6))))
