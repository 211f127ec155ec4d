"""`/metrics` for Prometheus. Each process reports only itself; Prometheus adds them up. Figures
from the database (`stored_metrics`) are the same in each.

The recorder's numbers are read at each scrape (`install`), so a packet updates no metric. The page
is not public: with METRICS_TOKEN set, the scraper sends it as a bearer token; without it, only
requests from this host that come through no proxy are answered.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from acsmedia.monitoring.stored_metrics import Read, StoredMetrics, canary_metrics, coverage_metrics
from calls.live.sockets import open_sockets
from calls.wording import REFUSALS
from streams.acs.answering.counts import OUTCOMES, answer_counts
from streams.acs.webhooks.counts import REASONS, counts
from streams.live.alarm_rules import PROCESS_ALARMS, STREAM_ALARMS
from streams.stats import HANDSHAKE_OUTCOMES, MESSAGE_OUTCOMES, SEAL_STAGES, RecorderStats

__all__ = ["RecorderCollector", "RecorderStats", "install", "metrics"]

N = TypeVar("N", bound=str)

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""Headers added by a proxy. Behind one, the peer's address does not identify the client."""


class RecorderCollector(Collector):
    """Converts the recorder's stats to metrics at each scrape."""

    def __init__(self, stats: Callable[[], RecorderStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        yield from _counters(stats)
        yield from _gauges(stats)

    def describe(self) -> Iterable[Metric]:
        """Returns nothing, or the registry would collect once for the names, before there is a
        recorder.
        """
        return ()


class BrowserCollector(Collector):
    """Sockets of browsers, in every process: one that serves pages may have no recorder."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge("live_dashboards", "Connected dashboards.", open_sockets("LiveSocket"))
        yield _gauge(
            "listeners", "Users who listen in on a live call.", open_sockets("ListenSocket")
        )


class EventCollector(Collector):
    """Events of ACS at the webhooks, in every process that serves pages."""

    def collect(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "acsmedia_events_received",
            "Events of ACS that were stored, repetitions included.",
            labels=["source", "type"],
        )
        for (source, name), count in sorted(counts.received.items()):
            received.add_metric([source, name], count)
        yield received
        yield _counter_by(
            "reason", "events_refused", "Refused requests with events.", REASONS, counts.refused
        )
        yield _counter_by(
            "outcome",
            "incoming_calls",
            "Incoming calls that a rule wanted answered: answered, or why not.",
            OUTCOMES,
            answer_counts.outcomes,
        )


class Exposition:
    """The metrics of one process: its own, and those of its recorder once it is installed."""

    def __init__(self, *stored: Read) -> None:
        self._registry = CollectorRegistry()
        self._recorder: RecorderCollector | None = None
        ProcessCollector(registry=self._registry)
        self._registry.register(BrowserCollector())
        self._stored = StoredMetrics(*stored)
        self._registry.register(self._stored)
        self._registry.register(EventCollector())

    def install(self, stats: Callable[[], RecorderStats]) -> None:
        """Replaces the recorder. `stats` is called at each scrape, on the event loop: it must not
        block.
        """
        if self._recorder is not None:
            self._registry.unregister(self._recorder)
        self._recorder = RecorderCollector(stats)
        self._registry.register(self._recorder)

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Returns 200 with the text format, 401 without the token, or 403 for requests from other
        hosts if no token is set.
        """
        if settings.METRICS_TOKEN:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            # As bytes: compare_digest rejects non-ASCII text, which any client may send.
            is_same = hmac.compare_digest(
                token.strip().encode(errors="surrogateescape"), settings.METRICS_TOKEN.encode()
            )
            if scheme.lower() != "bearer" or not is_same:
                return HttpResponse(
                    "Send METRICS_TOKEN as a bearer token.\n",
                    status=401,
                    content_type="text/plain",
                    headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
                )
        elif not _is_this_host(request):
            return HttpResponse(
                "Set METRICS_TOKEN to allow other hosts.\n", status=403, content_type="text/plain"
            )
        await self._stored.refresh()
        return HttpResponse(generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)


_exposition = Exposition(canary_metrics, coverage_metrics)  # one per process
install = _exposition.install
metrics = never_cache(require_safe(_exposition.answer))


def _is_this_host(request: HttpRequest) -> bool:
    if any(header in request.META for header in FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:  # a Unix socket has no address
        return False


def _counters(stats: RecorderStats) -> Iterator[Metric]:
    yield _counter("packets", "Audio packets received.", stats.packets)
    yield _counter_by("outcome", "messages", "Messages received.", MESSAGE_OUTCOMES, stats.messages)
    yield _counter_by(
        "outcome",
        "handshakes",
        "Handshakes of media streams.",
        HANDSHAKE_OUTCOMES,
        stats.handshakes,
    )
    refused = CounterMetricFamily(
        "acsmedia_refused_handshakes",
        "Refused handshakes by reason; sender: acs if it looks like ACS, else other.",
        labels=["reason", "sender"],
    )
    for reason in REFUSALS:
        refused.add_metric([reason, "acs"], stats.refusals.get((reason, True), 0))
        refused.add_metric([reason, "other"], stats.refusals.get((reason, False), 0))
    yield refused
    yield _counter("journal_bytes", "Bytes appended to journals.", stats.journal_bytes)
    yield _counter("fsync_failures", "Failed syncs of journals.", stats.fsync_failures)
    yield _counter("segments_sealed", "Segments stored, with their rows.", stats.segments_sealed)
    yield _counter_by(
        "stage", "seal_failures", "Failed attempts to seal.", SEAL_STAGES, stats.seal_failures
    )


def _gauges(stats: RecorderStats) -> Iterator[Metric]:
    yield _gauge("open_streams", "Open media streams.", stats.open_streams)
    yield _gauge(
        "seal_lag_seconds",
        "Age of the oldest journal waiting to be sealed.",
        stats.seal_lag_seconds,
    )
    yield _gauge(
        "spool_bytes", "Bytes of journals on disk, this process's share.", stats.spool_bytes
    )
    yield _gauge("spool_files", "Journals on disk, this process's share.", stats.spool_files)
    yield _gauge(
        "spool_full",
        "1 while new media streams are refused for lack of space.",
        stats.is_disk_quota_reached,
    )
    alarms = GaugeMetricFamily("acsmedia_alarms", "Active alarms.", labels=["alarm"])
    for name in (*STREAM_ALARMS, *PROCESS_ALARMS):
        alarms.add_metric([name], stats.alarms.get(name, 0))
    yield alarms


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"acsmedia_{name}", help_text, value=value)


def _counter_by(
    label: str, name: str, help_text: str, names: Sequence[N], values: Mapping[N, int]
) -> Metric:
    """Exposes every label value from the start, at 0: a series that first appears with its first
    failure raises no alert.
    """
    family = CounterMetricFamily(f"acsmedia_{name}", help_text, labels=[label])
    for one in names:
        family.add_metric([one], values.get(one, 0))
    return family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"acsmedia_{name}", help_text, value=value)
