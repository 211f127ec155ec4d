"""The network between service and recorder: latency, and stalls that end in a burst. PURE."""

from __future__ import annotations

from random import Random

from tests.simulation.plan import Plan

LATENCY_US = 30_000
LATENCY_NOISE_US = 12_000


class Network:
    """Delays what arrives; each socket keeps its order."""

    def __init__(self, plan: Plan) -> None:
        self._random = Random(f"network {plan.seed}")
        self._stalls = [
            (plan.true_us(one.at_us), plan.true_us(one.at_us) + one.us)
            for one in plan.of("network")
        ]
        self._latest: dict[int, int] = {}

    def arrival_us(self, true_us: int, socket: int) -> int:
        """Returns when something that is sent at this true time arrives."""
        at_us = true_us + LATENCY_US + self._random.randrange(LATENCY_NOISE_US)
        for start_us, end_us in self._stalls:
            if start_us <= true_us < end_us:
                at_us = max(at_us, end_us)
        at_us = max(at_us, self._latest.get(socket, 0))
        self._latest[socket] = at_us
        return at_us
