"""Shrinking: a small plan that still breaks the same law, found greedily, and the same one in every
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.plan import PACKET_US, SECOND, WITH_ROWS, Plan, Spurt, Voice

MAX_TRIES = 400


def shrunk(plan: Plan, breaks: Callable[[Plan], bool]) -> Plan:
    """Returns a smaller plan for which `breaks` still holds."""
    tries = 0
    improved = True
    while improved and tries < MAX_TRIES:
        improved = False
        for smaller in _smaller(plan):
            tries += 1
            if breaks(smaller):
                plan, improved = smaller, True
                break
            if tries >= MAX_TRIES:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Yields plans with one thing less, the largest first."""
    if plan.with_rows and not plan.of(*WITH_ROWS):
        yield replace(plan, with_rows=False)
    for number in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:number] + plan.faults[number + 1 :])
    for number in range(len(plan.voices) - 1, -1, -1):
        if len(plan.voices) > 1:
            yield _without_voice(plan, number)
    for number, voice in enumerate(plan.voices):
        for spurts in _fewer(voice.spurts):
            yield _with_voice(plan, number, replace(voice, spurts=spurts))
        if voice.ppm:
            yield _with_voice(plan, number, replace(voice, ppm=0))
    yield from _simpler(plan)


def _simpler(plan: Plan) -> Iterator[Plan]:
    """Yields plans with smaller faults and ordinary settings."""
    for number, fault in enumerate(plan.faults):
        if fault.count > 1:
            yield _with_fault(plan, number, count=1)
            yield _with_fault(plan, number, count=fault.count // 2)
    ordinary = {"rate": 16_000, "rotate_us": 10 * SECOND, "digits": 6}
    for name, value in ordinary.items():
        if getattr(plan, name) != value:
            yield replace(plan, **{name: value})  # type: ignore[arg-type] # all are numbers


def _fewer(spurts: tuple[Spurt, ...]) -> Iterator[tuple[Spurt, ...]]:
    if len(spurts) > 3:
        yield spurts[: len(spurts) // 2]
        yield spurts[len(spurts) // 2 :]
    for number, one in enumerate(spurts):
        before, after = spurts[:number], spurts[number + 1 :]
        if len(spurts) > 1:
            yield before + after
        if (half := one.packets // 2) > 0:
            late = Spurt(one.start_us + (one.packets - half) * PACKET_US, half)
            yield (*before, Spurt(one.start_us, half), *after)
            yield (*before, late, *after)


def _without_voice(plan: Plan, number: int) -> Plan:
    """Leaves out a voice; faults of later ones keep their voice."""
    faults = [
        replace(fault, voice=fault.voice - (fault.voice > number))
        for fault in plan.faults
        if fault.voice != number
    ]
    voices = plan.voices[:number] + plan.voices[number + 1 :]
    return replace(plan, voices=voices, faults=tuple(faults))


def _with_voice(plan: Plan, number: int, voice: Voice) -> Plan:
    voices = (*plan.voices[:number], voice, *plan.voices[number + 1 :])
    return replace(plan, voices=voices)


def _with_fault(plan: Plan, number: int, *, count: int) -> Plan:
    fault = replace(plan.faults[number], count=count)
    return replace(plan, faults=(*plan.faults[:number], fault, *plan.faults[number + 1 :]))
