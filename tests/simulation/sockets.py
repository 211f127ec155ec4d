"""When the sockets of a simulated call were open, for the reasons of gaps. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.simulation.world import Socket, World


def unconnected(sockets: Sequence[Socket], start_us: int, end_us: int) -> tuple[int, list[Socket]]:
    """Returns the time in which no socket was open, and the sockets that had ended before it."""
    times: list[tuple[int, Socket]] = []
    last, *others = sorted(sockets, key=lambda one: one.open_us)
    for socket in others:
        times.append((min(socket.open_us, end_us) - max(last.close_us, start_us), last))
        last = max(last, socket, key=lambda one: one.close_us)
    return sum(max(0, us) for us, _ in times), [one for us, one in times if us > 0]


def as_noted(world: World) -> list[Socket]:
    """Returns the sockets with the times that the recorder notes."""
    opened = {one.socket: one.arrival_us for one in world.events if one.kind == "open"}
    closed = {one.socket: one.arrival_us for one in world.events if one.kind in {"close", "die"}}
    return [
        replace(one, open_us=opened[one.number], close_us=closed[one.number])
        for one in world.sockets
        if one.number in opened  # else its process died before it had heard of it
    ]


def last_written_us(socket: Socket, world: World) -> int:
    """Returns the end of a socket by its last packet on disk."""
    own = (one for voice in world.packets for one in voice if one.socket == socket.number)
    return max((max(one.arrivals, default=0) for one in own), default=socket.open_us)


def may_have_died_last(world: World, start_us: float, end_us: float) -> bool:
    """Whether a process died whose socket had replaced an older one, and between two times the
    older one ended, without audio since the last record of the other: nobody knows which of them
    was open longer.
    """
    noted = as_noted(world)
    return any(
        start_us <= older.close_us <= end_us
        and older.open_us < died.open_us
        and last_written_us(older, world) <= last_written_us(died, world) <= older.close_us
        for died in noted
        for older in noted
        if died.dies
    )
