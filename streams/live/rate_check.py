"""Compares the announced sample rate of a voice with the audio that arrives. PURE.

The audio of a voice has two clocks: the number of its samples at the announced rate, and the
progress of its timestamps. If the announced rate is wrong, one clock runs faster than the other by
a constant factor: 960 bytes every 20 ms are 24 kHz, whatever AudioMetadata says.

Other things change the factor too, for a while: missing audio (fewer samples), a burst, jitter, a
step of the sender's clock. Therefore only seconds that agree clearly with one rate count, the size
of the packets has to agree too if the sender documents it, and many seconds in a row must agree.
"""

from __future__ import annotations

from typing import NamedTuple

RATE_CHECK_SECONDS = 10
"""Evaluations, once a second, that must contradict the announced rate in a row; and agree with it
in a row, until the alarm is cleared.
"""

MATCH = 0.1
"""Largest difference from a rate, as a share of it, at which a second agrees with that rate. Rates
in use are at least 33 % apart; jitter of 50 ms is 5 % of a second.
"""

CLEARLY_FASTER = 1.2


class Progress(NamedTuple):
    """Audio of a voice: number of `samples` since its rate was announced, and the timestamp of its
    newest packet. `documented_rate`: Hz that packets of that size have (`Sender.rates`), if known.
    """

    sample_rate: int
    samples: int
    timestamp_us: int
    documented_rate: int | None


class RateCheck:
    """Whether the announced rate `is_wrong`. `update` it once a second, if there are packets."""

    def __init__(self) -> None:
        self.is_wrong = False
        self.since: float | None = None  # beginning of the seconds that led to `is_wrong`
        self._before: Progress | None = None
        self._streak = 0  # seconds in a row that contradict `is_wrong`

    def update(self, progress: Progress, began: float) -> None:
        """Adds the second that began at `began`, on any monotonic clock."""
        before, self._before = self._before, progress
        if before is None or before.sample_rate != progress.sample_rate:
            self.is_wrong, self._streak = False, 0
            return
        verdict = is_contradiction(before, progress)
        if verdict is None:
            if progress.documented_rate is None:  # without that evidence, only in a row
                self._streak = 0
            return
        if verdict == self.is_wrong:
            self._streak = 0
            return
        self._streak += 1
        if self._streak == 1:
            self.since = began
        if self._streak == RATE_CHECK_SECONDS:
            self.is_wrong, self._streak = verdict, 0


def is_contradiction(before: Progress, now: Progress) -> bool | None:
    """Returns whether the time between two readings of the same announced rate contradicts it; None
    if it is compatible with several rates.
    """
    elapsed_us = now.timestamp_us - before.timestamp_us
    if elapsed_us <= 0 or now.samples <= before.samples:
        return None
    rate = (now.samples - before.samples) * 1_000_000 / elapsed_us
    if _matches(rate, now.sample_rate):
        return False
    if now.documented_rate is None:
        return True if rate >= CLEARLY_FASTER * now.sample_rate else None
    return True if _matches(rate, now.documented_rate) else None


def _matches(rate: float, expected: int) -> bool:
    return abs(rate - expected) <= MATCH * expected
