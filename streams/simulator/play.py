"""All calls of a plan: the entry point of the command and of the end-to-end tests."""

from __future__ import annotations

import asyncio

from streams.simulator.call import CallPlayer
from streams.simulator.pacing import Pace
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.report import Report

FAILED_PAUSE_SECONDS = 3.0  # shortest pause of a loop after a failed call


async def play(
    plan: Plan, *, report: Report | None = None, stop: asyncio.Event | None = None
) -> Report:
    """Plays every call of `plan` and returns the report; a call that fails does not end the others.

    `report` is filled during the run, so that progress can be shown. `stop` ends the run early and
    closes every socket normally. With `plan.loop` it does not end otherwise.
    """
    report = Report() if report is None else report
    report.planned_packets = sum(
        voice.sound.packet_count for call in plan.calls for voice in call.script.voices
    )
    async with asyncio.TaskGroup() as group:
        pace = Pace(asyncio.get_running_loop().time(), plan.speed)
        calls = [group.create_task(_play_calls(plan, call, pace, report)) for call in plan.calls]
        if stop is not None:
            stopped = group.create_task(stop.wait())
            ended = group.create_task(asyncio.wait(calls))
            await asyncio.wait((stopped, ended), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                report.interrupted = True
                for call in calls:
                    call.cancel()
            stopped.cancel()
    return report


async def _play_calls(plan: Plan, call: PlannedCall, pace: Pace, report: Report) -> None:
    """Plays one call; with `plan.loop` one after the other, each as a new call."""
    while True:
        player = CallPlayer(plan, call)
        report.calls.append(player.report)
        await player.play(pace)
        if not plan.loop:
            return
        shortest = 0.0 if player.report.complete else FAILED_PAUSE_SECONDS
        await asyncio.sleep(max(plan.pause_seconds, shortest))
        call = call.again()
        pace = Pace(asyncio.get_running_loop().time() - call.begin_us / 1e6, plan.speed)
