"""PURE. Counters of a recording process, as one value taken at one moment.

The recorder adds to plain integers, because counting must cost a packet nothing more; readers ask
for a snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MessageOutcome = Literal["audio", "dtmf", "metadata", "unknown", "malformed"]
HandshakeOutcome = Literal["accepted", "refused", "failed"]
SealStage = Literal["store", "database", "journal"]

MESSAGE_OUTCOMES: tuple[MessageOutcome, ...] = ("audio", "dtmf", "metadata", "unknown", "malformed")
HANDSHAKE_OUTCOMES: tuple[HandshakeOutcome, ...] = ("accepted", "refused", "failed")
SEAL_STAGES: tuple[SealStage, ...] = ("store", "database", "journal")


@dataclass(frozen=True, slots=True)
class Backlog:
    """All journals on disk, of every process of the spool; `lag_seconds` is the age of the oldest
    finished one. `own_files` and `own_bytes`: this process's share of them, so that the shares of
    all processes add up to the spool.
    """

    files: int = 0
    size_bytes: int = 0
    lag_seconds: float = 0.0
    own_files: int = 0
    own_bytes: int = 0


@dataclass(frozen=True)
class RecorderStats:
    """Totals since the process started, and its current state. Outcomes that are absent count 0."""

    packets: int = 0
    messages: Mapping[MessageOutcome, int] = field(default_factory=dict)
    handshakes: Mapping[HandshakeOutcome, int] = field(default_factory=dict)
    refusals: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    """Refused handshakes by reason, and whether they were from ACS (`streams.live.refusals`)."""
    journal_bytes: int = 0
    """Bytes appended to journals."""
    segments_sealed: int = 0
    seal_failures: Mapping[SealStage, int] = field(default_factory=dict)
    """Failed attempts, which are repeated, by the unreachable or damaged part."""
    open_streams: int = 0
    seal_lag_seconds: float = 0.0
    """Age of the oldest finished journal that is not sealed yet; 0 if there is none."""
    spool_bytes: int = 0
    """Share of this process in the journals on disk; so is `spool_files`."""
    spool_files: int = 0
    is_disk_quota_reached: bool = False
    """Whether new sockets are refused, because the spool has reached its disk quota."""
    fsync_failures: int = 0
    """Attempts to sync a journal that failed: a power cut could cost more than a second."""
    alarms: Mapping[str, int] = field(default_factory=dict)
    """Number of active alarms by name (`streams.live.alarm_rules`)."""


RATE_SECONDS = 1.0


class RateMeter:
    """Rate per second of a monotonic counter.

    Call `per_second` about once a second, when it `is_due`. Times are seconds of any monotonic
    clock.
    """

    def __init__(self) -> None:
        self._count = 0
        self._at: float | None = None

    def is_due(self, now: float) -> bool:
        return self._at is None or now - self._at >= RATE_SECONDS

    def per_second(self, count: int, now: float) -> float:
        """Returns the increase per second since the last call; 0.0 at first."""
        before, since = self._count, self._at
        self._count, self._at = count, now
        return 0.0 if since is None or now <= since else (count - before) / (now - since)
