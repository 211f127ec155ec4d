"""The newest window of PCM per track, from which levels are measured. PURE.

`calls.audio.levels` measures rms and peak in dBFS per window of 100 ms. dBFS as in AES17 without
its 3 dB offset: 0 dBFS rms is a square wave at full scale. Silence is -96.0, the floor of 16-bit
audio. Packets are only kept here, and numpy measures the windows of all voices at once: window by
window it takes 16 µs each, together 0.8 µs (400 voices, 100 ms at 16 kHz).
"""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 0.1
MAX_PACKETS = 16
"""Packets kept per track: a window is five packets of 20 ms; of a burst only the newest are
measured.
"""


class Meter:
    """Keeps the newest packets of one track: `add` each packet, `take` a window per tick for
    `levels_of`.

    The number of packets is bounded: older ones are no longer news.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._newest: deque[bytes] = deque(maxlen=MAX_PACKETS)
        self.add = self._newest.append
        """Adds the PCM of a packet; the deque's own method, because every packet calls it."""

    def take(self) -> bytes | None:
        """Returns the PCM added since the last call, at most a window and a packet; None without
        any.
        """
        window: deque[bytes] = deque()
        missing_bytes = 2 * self.sample_rate * WINDOW_SECONDS
        while self._newest and missing_bytes > 0:
            window.appendleft(self._newest.pop())
            missing_bytes -= len(window[0])
        self._newest.clear()
        return b"".join(window) if window else None
