"""All calls of a plan: what the command and the end-to-end tests call."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from streams.simulator.call import CallPlayer
from streams.simulator.pacing import Pace
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.report import CallReport, Report

FAILED_PAUSE_SECONDS = (
    3.0  # at least so long between two rounds of a loop when the first one failed
)


async def play(
    plan: Plan, *, report: Report | None = None, stop: asyncio.Event | None = None
) -> Report:
    """Plays every call of `plan`; the report says how it went, a call that fails ends none of the
    others.

    `report` is filled while it runs, for whoever shows progress. `stop` ends it early, with every
    socket closed in good order. With `plan.loop` it does not end otherwise.
    """
    report = Report() if report is None else report
    report.planned_packets = sum(
        voice.sound.packet_count for call in plan.calls for voice in call.script.voices
    )
    async with asyncio.TaskGroup() as group:
        pace = Pace(asyncio.get_running_loop().time(), plan.speed)
        calls = [group.create_task(_play_line(plan, call, pace, report)) for call in plan.calls]
        if stop is not None:
            watcher = group.create_task(_stop_at(stop, calls, report))
            await asyncio.wait(calls)
            watcher.cancel()
    return report


async def _play_line(plan: Plan, call: PlannedCall, pace: Pace, report: Report) -> None:
    """One call; with `plan.loop` one after the other, each a call of its own."""
    last = await _play_one(plan, call, pace, report)
    while plan.loop:
        await asyncio.sleep(
            plan.pause_seconds if last.complete else max(plan.pause_seconds, FAILED_PAUSE_SECONDS)
        )
        call = call.again()
        began = Pace(asyncio.get_running_loop().time() - call.begin_us / 1e6, plan.speed)
        last = await _play_one(plan, call, began, report)


async def _play_one(plan: Plan, call: PlannedCall, pace: Pace, report: Report) -> CallReport:
    player = CallPlayer(plan, call)
    report.calls.append(player.report)
    await player.play(pace)
    return player.report


async def _stop_at(stop: asyncio.Event, calls: list[asyncio.Task[None]], report: Report) -> None:
    with suppress(asyncio.CancelledError):  # all calls have ended by themselves
        await stop.wait()
        report.interrupted = True
        for call in calls:
            call.cancel()
