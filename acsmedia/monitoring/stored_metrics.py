"""Metrics from the database, the same in every process: take the maximum, not the sum.

Each scrape reads them in a thread and waits `ANSWER_SECONDS` at most. While the database does not
answer they are left out, since an old figure would look like a good one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial

import structlog
from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from calls.canary import status
from calls.coverage.figures import figures
from streams.daemon_thread import in_daemon_thread

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 1.0
KEEP_SECONDS = 2.0
"""Longest age of figures: several scrapers at once cause one read."""

Read = Callable[[], list[Metric]]


class StoredMetrics(Collector):
    """The metrics of one process: `refresh` before `collect`. Event loop only."""

    def __init__(self, *reads: Read) -> None:
        self._reads = reads
        self._metrics: list[Metric] = []
        self._read_at = float("-inf")
        self._reading: Future[list[Metric]] | None = None

    async def refresh(self) -> None:
        """Reads the figures, unless they are young. Never raises, and waits a second at most."""
        now = asyncio.get_running_loop().time()
        if now - self._read_at < KEEP_SECONDS:
            return
        try:
            self._metrics, self._read_at = await self._read(), now
        except (DatabaseError, TimeoutError) as error:
            self._forget()
            log.warning("metrics not read", error=type(error).__name__)
        except Exception:  # a fault of the program: it must not hide the metrics of the process
            self._forget()
            log.exception("metrics not read")

    def _forget(self) -> None:
        self._metrics, self._read_at = [], float("-inf")

    async def _read(self) -> list[Metric]:
        if self._reading is None or self._reading.done():  # one that hangs costs one thread
            self._reading = in_daemon_thread(partial(_read, self._reads), name="stored-metrics")
        async with asyncio.timeout(ANSWER_SECONDS):
            return await asyncio.shield(asyncio.wrap_future(self._reading))

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: there are no names before the first read."""
        return ()


def _read(reads: Iterable[Read]) -> list[Metric]:
    try:
        return [metric for read in reads for metric in read()]
    finally:
        connections.close_all()  # of this thread, which ends


def coverage_metrics() -> list[Metric]:
    """Returns how much of the expected calls was recorded."""
    found = figures(timezone.now())
    missing = CounterMetricFamily(
        "acsmedia_missing_seconds",
        "Seconds of expected calls that were not recorded, by reason.",
        labels=["reason"],
    )
    for reason, seconds in sorted(found.missing_seconds.items()):
        missing.add_metric([reason], seconds)
    metrics: list[Metric] = [missing]
    if found.captured_ratio is not None:
        text = "Recorded part of the expected seconds of calls of the last 24 hours."
        metrics.append(GaugeMetricFamily("acsmedia_captured_ratio", text, found.captured_ratio))
    return metrics


def canary_metrics() -> list[Metric]:
    """Returns the figures of canary calls; none of them before the first run that has it."""
    now = timezone.now()
    found = status.figures(now)
    age = None if found.passed_at is None else (now - found.passed_at).total_seconds()
    gauges = (
        ("canary_age_seconds", "Time since the last good canary call.", age),
        (
            "canary_delay_seconds",
            "Time from the end of the last canary call until its audio was in REST.",
            found.delay_seconds,
        ),
        (
            "canary_difference_samples",
            "Samples of the last canary call that came back wrong or not at all.",
            found.difference_samples,
        ),
        ("canary_failed", "1 while the alarm canary_failed is active.", found.alarm_is_active),
    )
    return [
        GaugeMetricFamily(f"acsmedia_{name}", text, value=float(value))
        for name, text, value in gauges
        if value is not None
    ]
