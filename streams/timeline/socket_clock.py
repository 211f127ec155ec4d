"""The clocks of a call as one socket knew them, kept for the sockets after it. PURE."""

from __future__ import annotations

from msgspec import Struct, field

from streams.timeline.arrival import BLOCK_US, DRIFT, STALL_US


class SocketClock(Struct, frozen=True):
    """The clocks of a call, as a socket knew them last: plain data, kept with its row.

    Times in µs. `recorder`: its process; `epochs_us`: the shifts of the sender's clock, the latest
    last (see `CallClock`); `lead_us`: the greatest `lead_of` a packet, None if unknown;
    `arrived_us`: when the last packet that counted for it arrived.
    """

    recorder: str = ""
    epochs_us: list[int] = field(default_factory=lambda: [0])
    lead_us: int | None = None
    arrived_us: int = 0

    def behind_us(self, other: SocketClock) -> int:
        """Returns by how much the clock of its host is behind that of the other's, as the arrival
        of audio shows it; 0 if they may be the same clock, or that is unknown.
        """
        if self.lead_us is None or other.lead_us is None or self.recorder == other.recorder:
            return 0
        behind_us = (self.lead_us - self._drift_us) - (other.lead_us - other._drift_us)
        same_us = STALL_US + abs(self.arrived_us - other.arrived_us) // DRIFT
        return behind_us if behind_us > same_us else 0

    @property
    def _drift_us(self) -> int:
        return self.arrived_us // BLOCK_US * (BLOCK_US // DRIFT)
