"""One canary run: places the call, waits until it is in REST, fetches it, compares it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calls.canary import token
from calls.canary.runs import Result
from calls.times import from_microseconds
from streams.canary.addresses import Addresses
from streams.canary.comparison import Difference, compare
from streams.canary.rest import AccessDenied, Rest, RestError
from streams.canary.sound import SAMPLE_RATE, Samples, script_of, tracks_of
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.report import CallReport

POLL_SECONDS = 0.5
TOLERANCE_SECONDS = 0.5 / SAMPLE_RATE
"""REST has lengths as floats."""


@dataclass(frozen=True, slots=True)
class Canary:
    """The call of a run. `wait_seconds`: from the end of the call until it must be in REST;
    `key`: of the account that reads it; `stream_token`: "" without one.
    """

    addresses: Addresses
    key: str
    stream_token: str
    seconds: float
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The call as in REST, and since the end of the call, in seconds."""

    call: dict[str, Any]
    delay_seconds: float
    is_whole: bool


def run(canary: Canary, connection_id: str, seed: int) -> Result:
    """Returns the result of one run; never raises because of the server."""
    tracks = tracks_of(seed, canary.seconds)
    count = sum(map(len, tracks.values()))
    placed = asyncio.run(_place(canary, connection_id, tracks))
    ended = time.monotonic()
    if not placed.complete:
        return Result(_why_not_placed(placed), placed.problem, count)
    rest = Rest(canary.addresses.api, canary.key)
    try:
        fetched = _wait(rest, connection_id, tracks, ended, canary.wait_seconds)
    except RestError as error:
        return Result("rest_failed", str(error), count)
    if fetched is None:
        return Result("not_in_rest", f"not within {canary.wait_seconds:g} s", count)
    try:
        received = {
            each["raw_id"]: rest.track(fetched.call["id"], each["id"])
            for each in fetched.call["participants"]
            if each["recorded_seconds"]
        }
    except RestError as error:
        return Result("audio_unreadable", str(error), count)
    late = _late_samples(fetched.call, placed)
    return _judged(fetched, compare(tracks, received, late), count)


async def _place(canary: Canary, connection_id: str, tracks: dict[str, Samples]) -> CallReport:
    """Plays the call; the timestamps begin at a whole millisecond, as they are sent."""
    call = PlannedCall(script_of(tracks), connection_id=connection_id)
    now = time.time()
    authorization = f"Bearer {token.issue(connection_id, now)}"
    plan = Plan(
        canary.addresses.media,
        (call,),
        headers=(("Authorization", authorization),),
        token=canary.stream_token,
        started_us=int(now * 1000) * 1000,
        hashes=False,
    )
    report = await play(plan)
    return report.calls[0]


def _why_not_placed(placed: CallReport) -> str:
    if placed.refused:
        return "refused"
    return "interrupted" if placed.sockets else "unreachable"


def _wait(
    rest: Rest, connection_id: str, tracks: dict[str, Samples], ended: float, seconds: float
) -> _Fetched | None:
    """Waits until all tracks are whole in REST, or the time is up; None if there is no audio by
    then. Raises `RestError`: REST does not answer, or not to this account.
    """
    while True:
        call, error = None, None
        try:
            call = rest.call(connection_id)
        except AccessDenied:
            raise
        except RestError as failed:  # it may answer the next time
            error = failed
        delay = time.monotonic() - ended
        is_whole = call is not None and _is_whole(call, tracks)
        if is_whole or delay >= seconds:
            break
        time.sleep(POLL_SECONDS)
    if error:
        raise error
    if call is None or not any(each["recorded_seconds"] for each in call["participants"]):
        return None
    return _Fetched(call, delay, is_whole)


def _is_whole(call: dict[str, Any], tracks: dict[str, Samples]) -> bool:
    recorded = {each["raw_id"]: each["recorded_seconds"] for each in call["participants"]}
    return all(
        recorded.get(raw_id, 0.0) >= len(samples) / SAMPLE_RATE - TOLERANCE_SECONDS
        for raw_id, samples in tracks.items()
    )


def _late_samples(call: dict[str, Any], placed: CallReport) -> int:
    """Returns by how many samples the call lies later on the axis than its timestamps say."""
    assert placed.started_us is not None, "the call was played"
    began = datetime.fromisoformat(call["audio_started_at"])
    late = began - from_microseconds(placed.started_us)
    return round(late.total_seconds() * SAMPLE_RATE)


def _judged(fetched: _Fetched, difference: Difference, count: int) -> Result:
    reason = detail = ""
    if not fetched.is_whole:
        reason, detail = "incomplete", f"{difference.samples} of {count} samples"
    elif difference.shift:
        way = "late" if difference.shift > 0 else "early"
        reason, detail = "shifted", f"{abs(difference.shift)} samples {way}"
    elif difference.samples:
        reason, detail = "samples_differ", f"{difference.samples} of {count} samples"
    delay = round(fetched.delay_seconds, 3) if fetched.is_whole else None
    return Result(reason, detail, count, difference.samples, delay)
