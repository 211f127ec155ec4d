"""`/metrics`: what Prometheus reads. Each process answers for itself; the scraper adds up.

The recorder's numbers are read when they are asked for (`install`), so a packet touches no metric.
The page is closed: with METRICS_TOKEN the scraper shows it as a bearer token; without one only this
host itself may ask, and not through a proxy.
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

from streams.live.alarm_rules import PROCESS_ALARMS, STREAM_ALARMS
from streams.stats import HANDSHAKE_OUTCOMES, MESSAGE_OUTCOMES, SEAL_STAGES, RecorderStats

__all__ = ["RecorderCollector", "RecorderStats", "install", "metrics"]

W = TypeVar("W", bound=str)

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""Headers that a proxy adds: behind one, the address of the peer says nothing."""


class RecorderCollector(Collector):
    """Turns `figures()` into metrics, once a scrape."""

    def __init__(self, figures: Callable[[], RecorderStats]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        now = self._figures()
        yield _total("packets", "Audio packets received.", now.packets)
        yield _totals("messages", "Messages received.", "outcome", MESSAGE_OUTCOMES, now.messages)
        yield _totals(
            "handshakes",
            "Handshakes of media streams.",
            "outcome",
            HANDSHAKE_OUTCOMES,
            now.handshakes,
        )
        yield _total("journal_bytes", "Bytes appended to journals.", now.journal_bytes)
        yield _total("segments_sealed", "Segments stored, with their rows.", now.segments_sealed)
        yield _totals(
            "seal_failures", "Failed attempts to seal.", "stage", SEAL_STAGES, now.seal_failures
        )
        yield _gauge("open_streams", "Media streams that are open.", now.open_streams)
        yield _gauge(
            "seal_lag_seconds",
            "Age of the oldest journal waiting to be sealed.",
            now.seal_lag_seconds,
        )
        yield _gauge("spool_bytes", "Bytes of journals on disk.", now.spool_bytes)
        yield _gauge("spool_files", "Journals on disk.", now.spool_files)
        yield _gauge(
            "spool_full",
            "1 while new media streams are refused for want of room.",
            now.is_disk_quota_reached,
        )
        yield _gauge("live_dashboards", "Dashboards that are connected.", now.live_dashboards)
        alarms = GaugeMetricFamily("acsmedia_alarms", "Alarms that are on.", labels=["alarm"])
        for name in (*STREAM_ALARMS, *PROCESS_ALARMS):
            alarms.add_metric([name], now.alarms.get(name, 0))
        yield alarms

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise collect once to learn the names, before there is a
        recorder.
        """
        return ()


class Exposition:
    """What one process shows: itself, and its recorder once there is one."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._recorder: RecorderCollector | None = None
        ProcessCollector(registry=self._registry)

    def install(self, figures: Callable[[], RecorderStats]) -> None:
        """`figures` is called once a scrape, on the event loop: it must not block. Replaces an
        earlier one.
        """
        if self._recorder is not None:
            self._registry.unregister(self._recorder)
        self._recorder = RecorderCollector(figures)
        self._registry.register(self._recorder)

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """200 with the text format; 401 without the token, 403 from elsewhere when no token is
        set.
        """
        if settings.METRICS_TOKEN:
            if not _shows_token(request.headers.get("Authorization", ""), settings.METRICS_TOKEN):
                return HttpResponse(
                    "METRICS_TOKEN is required as a bearer token.\n",
                    status=401,
                    content_type="text/plain",
                    headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
                )
        elif not _is_this_host(request):
            return HttpResponse(
                "Elsewhere needs METRICS_TOKEN.\n", status=403, content_type="text/plain"
            )
        return HttpResponse(generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)


_exposition = Exposition()  # one per process, as the process metrics are
install = _exposition.install
metrics = never_cache(require_safe(_exposition.answer))


def _shows_token(authorization: str, expected: str) -> bool:
    scheme, _, shown = authorization.partition(" ")
    # As bytes: compare_digest refuses text beyond ASCII, and a stranger may send any.
    same = hmac.compare_digest(shown.strip().encode(errors="surrogateescape"), expected.encode())
    return scheme.lower() == "bearer" and same


def _is_this_host(request: HttpRequest) -> bool:
    if any(header in request.META for header in FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:  # a Unix socket has no address
        return False


def _total(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"acsmedia_{name}", help_text, value=value)


def _totals(
    name: str, help_text: str, label: str, words: Sequence[W], values: Mapping[W, int]
) -> Metric:
    """Every word is shown from the start, at 0: a series that appears with its first failure raises
    no alert.
    """
    family = CounterMetricFamily(f"acsmedia_{name}", help_text, labels=[label])
    for word in words:
        family.add_metric([word], values.get(word, 0))
    return family


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"acsmedia_{name}", help_text, value=value)
