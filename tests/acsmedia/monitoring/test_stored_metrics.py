"""Metrics from the database: read at a scrape, left out while it does not answer."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Event
from unittest import mock

from django.db import OperationalError
from django.test import AsyncClient, SimpleTestCase, TransactionTestCase
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from acsmedia.monitoring import stored_metrics
from acsmedia.monitoring.stored_metrics import (
    StoredMetrics,
    canary_metrics,
    coverage_metrics,
)
from calls.models import CanaryRun, MissingTotal
from tests.calls.pages.coverage.examples import make_coverage


class CanaryTests(TransactionTestCase):
    def figures(self) -> dict[str, float]:
        return {metric.name: metric.samples[0].value for metric in canary_metrics()}

    def test_without_a_run_only_the_alarm_is_known(self) -> None:
        self.assertEqual(self.figures(), {"acsmedia_canary_failed": 0})

    async def test_a_scrape_has_the_figures_of_the_last_runs(self) -> None:
        now = timezone.now()
        for minutes, outcome, delay, difference in ((9, "passed", 2.0, 0), (4, "failed", 3.0, 7)):
            await CanaryRun.objects.acreate(
                call_connection_id=f"canary-{minutes}",
                started_at=now - timedelta(minutes=minutes),
                finished_at=now - timedelta(minutes=minutes - 1),
                outcome=outcome,
                delay_seconds=delay,
                difference_samples=difference,
                every_seconds=300.0,
            )
        with mock.patch.object(stored_metrics, "KEEP_SECONDS", 0.0):  # another may have scraped
            response = await AsyncClient().get("/metrics")
        lines = dict(
            line.split(" ")
            for line in response.content.decode().splitlines()
            if line.startswith("acsmedia_canary")
        )
        age = float(lines.pop("acsmedia_canary_age_seconds"))
        self.assertAlmostEqual(age, 480, delta=30)
        self.assertEqual(
            lines,
            {
                "acsmedia_canary_delay_seconds": "3.0",
                "acsmedia_canary_difference_samples": "7.0",
                "acsmedia_canary_failed": "1.0",
            },
        )


class CoverageTests(TransactionTestCase):
    def samples(self) -> dict[str, float]:
        return {
            f"{sample.name}{sorted(sample.labels.values())}": sample.value
            for metric in coverage_metrics()
            for sample in metric.samples
        }

    def test_reasons_are_there_from_the_start(self) -> None:
        found = self.samples()
        self.assertEqual(found["acsmedia_missing_seconds_total['never_streamed']"], 0.0)
        self.assertNotIn("acsmedia_captured_ratio[]", found)

    def test_the_ratio_is_that_of_the_last_day(self) -> None:
        now = timezone.now()
        make_coverage(now - timedelta(hours=1), "partial", ("8603", 0.0, 25.0))
        make_coverage(now - timedelta(hours=25), "missing", ("never_streamed", 0.0, 100.0))
        MissingTotal.objects.create(reason="8603", seconds=25.0)
        found = self.samples()
        self.assertEqual(found["acsmedia_captured_ratio[]"], 0.75)
        self.assertEqual(found["acsmedia_missing_seconds_total['8603']"], 25.0)

    async def test_a_scrape_has_them(self) -> None:
        with mock.patch.object(stored_metrics, "KEEP_SECONDS", 0.0):  # another may have scraped
            response = await AsyncClient().get("/metrics")
        self.assertIn(
            b'acsmedia_missing_seconds_total{reason="not_received"} 0.0', response.content
        )


class RefreshTests(SimpleTestCase):
    def setUp(self) -> None:
        self.reads = 0
        self.error: Exception | None = None
        self.open = Event()
        self.open.set()
        self.stored = StoredMetrics(self.read)

    def read(self) -> list[Metric]:
        self.reads += 1
        self.open.wait(10)
        if self.error:
            raise self.error
        return [GaugeMetricFamily("reads", "", value=self.reads)]

    async def scrape(self) -> list[float]:
        await self.stored.refresh()
        return [metric.samples[0].value for metric in self.stored.collect()]

    async def test_several_scrapers_cause_one_read(self) -> None:
        self.assertEqual([await self.scrape() for _ in range(3)], [[1]] * 3)

    async def test_figures_are_read_again_when_they_are_old(self) -> None:
        with mock.patch.object(stored_metrics, "KEEP_SECONDS", 0.0):
            self.assertEqual([await self.scrape() for _ in range(2)], [[1], [2]])

    async def test_old_figures_are_not_shown_while_the_database_is_away(self) -> None:
        with mock.patch.object(stored_metrics, "KEEP_SECONDS", 0.0):
            self.assertEqual(await self.scrape(), [1])
            self.error = OperationalError("gone")
            with self.assertLogs("acsmedia.monitoring.stored_metrics", "WARNING"):
                self.assertEqual(await self.scrape(), [])
            self.error = None
            self.assertEqual(await self.scrape(), [3])

    async def test_a_fault_is_logged_and_leaves_the_figures_out(self) -> None:
        self.error = ZeroDivisionError("division by zero")
        with self.assertLogs("acsmedia.monitoring.stored_metrics", "ERROR") as logs:
            self.assertEqual(await self.scrape(), [])
        self.assertIn("metrics not read", logs.output[0])
        self.error = None
        self.assertEqual(await self.scrape(), [2])

    async def test_a_database_that_hangs_delays_a_scrape_by_a_second_and_takes_one_thread(
        self,
    ) -> None:
        self.open.clear()
        started = time.monotonic()
        with mock.patch.object(stored_metrics, "ANSWER_SECONDS", 0.05):
            for _ in range(3):
                with self.assertLogs("acsmedia.monitoring.stored_metrics", "WARNING"):
                    self.assertEqual(await self.scrape(), [])
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(self.reads, 1)
        self.open.set()
        self.assertEqual(await self.scrape(), [1])
