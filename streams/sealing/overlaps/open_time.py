"""Time in which no socket of a call was open, and why. PURE.

Only times of sockets are compared with each other, never with the axis: that follows the clock of
the sender.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from uuid import UUID

from streams.timeline.socket_clock import SocketClock

OPEN = 1 << 62
"""The end of an open socket."""

STEP_US = 600_000_000
"""A socket that has a later position, but opened this much earlier by the clock, is one whose host
has another time.
"""

TOUCH_US = 20_000
"""Sockets that are no further apart may have been open at the same time: after a stall of the
network, the news of the end of one and of the beginning of the next arrive at once.
"""


@dataclass(frozen=True, slots=True)
class OpenTime:
    """When a socket was open, in µs. `end_us`: `OPEN` while it is; `died`: with its process.
    `position`: in the order of the call's sockets, if known. `heard_us`: when its last audio
    arrived, 0 if it had none.
    """

    stream_id: UUID
    start_us: int
    end_us: int
    died: bool
    position: int | None = None
    clock: SocketClock = field(default_factory=SocketClock)
    heard_us: int = 0

    @property
    def reason_after(self) -> str:
        """Why time after it is missing, if no other socket was open."""
        return "recorder_stopped" if self.died else "not_connected"

    def has_another_clock(self, before: OpenTime) -> bool:
        """Whether it was opened after a socket that is older only by the position."""
        return (
            self.position is not None
            and before.position is not None
            and self.position > before.position
            and before.start_us - self.start_us >= STEP_US
        )

    def by_clock_of(self, other: OpenTime) -> OpenTime:
        """Returns its times by the clock of the other one's host."""
        behind_us = self.clock.behind_us(other.clock)
        end_us = self.end_us if self.end_us == OPEN else self.end_us + behind_us
        start_us, heard_us = self.start_us + behind_us, self.heard_us + behind_us
        return replace(self, start_us=start_us, end_us=end_us, heard_us=heard_us)

    def may_outlast(self, other: OpenTime) -> bool:
        """Whether it may have been open after an older one had ended: its process died at or after
        its last record, since which the older one has brought no audio either.
        """
        is_younger = other.start_us <= self.start_us
        return self.died and is_younger and other.heard_us <= self.end_us and other.end_us < OPEN


def reason_between(before: OpenTime, after: OpenTime, sockets: Iterable[OpenTime]) -> str:
    """Returns why time is missing between audio of two sockets of a call.

    Time without any socket is the reason, however short: the timestamps of audio that is sent
    faster than it was spoken say nothing about how long a reconnect took. The socket before the
    longest such time says whether it was closed or its process died. A host whose clock is behind
    that of the first socket is known from the arrival of audio. If the clocks of their hosts cannot
    be compared, the later socket has replaced the other one.
    """
    if after.has_another_clock(before):
        return before.reason_after
    longest_us, last, reached = 0, before, before
    after = after.by_clock_of(before)
    compared = [*(one.by_clock_of(before) for one in sockets), after]
    for socket in sorted(compared, key=lambda one: one.start_us):
        if socket.start_us > after.start_us:
            break
        if (closed_us := socket.start_us - reached.end_us) > longest_us:
            longest_us, last = closed_us, reached
        if socket.end_us > reached.end_us or socket.may_outlast(reached):
            reached = replace(socket, end_us=max(socket.end_us, reached.end_us))
    return last.reason_after if longest_us else "not_received"


def ended_after_start(socket: OpenTime, sockets: Iterable[OpenTime]) -> list[UUID]:
    """Returns the other sockets that ended after this one was opened. Until its own end was known,
    it counted as open after each of them.
    """
    return [
        one.stream_id
        for one in sockets
        if one.stream_id != socket.stream_id and socket.start_us <= one.end_us < OPEN
    ]
