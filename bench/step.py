"""One step: one subject with a number of calls for a time; all measurements, as `Figures`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from bench import cores
from bench.arrival import Arrivals
from bench.backends import Backends
from bench.browsers import Browsers
from bench.cores import Cost
from bench.figures import Figures
from bench.load import Load, Report
from bench.plan import LoadPlan, plan
from bench.records import packet_records_in
from bench.spool_watch import SpoolWatch, Waiting, to_keep
from bench.subjects import Subject

SAMPLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The cost of the processes at one time, in seconds since the epoch."""

    at: float
    ours: Cost
    database: Cost


class Step:
    """`run` it once; `moments` is its course over time."""

    def __init__(self, subject: Subject, backends: Backends, *, dashboards: int = 1) -> None:
        self._subject = subject
        self._backends = backends
        self._dashboards = dashboards
        self.moments: list[Moment] = []

    async def run(self, calls: int, seconds: float) -> Figures:
        subject = self._subject
        load_plan = plan(subject.media_urls, calls, seconds)
        browsers = Browsers(subject.live_url, subject.cookie)
        before = self._moment()
        async with self._watched(load_plan, seconds) as watch, Load(load_plan) as load:
            if subject.live_url:
                await browsers.open(self._dashboards)
            await load.window_started()
            await self._sample(load)
            report = await load.report()
            ended = time.time()
            await subject.drained()
            drained = time.time() - ended
        await browsers.close()
        figures = Figures(
            subject.name, calls, seconds, report.packets_sent, drained_seconds=drained
        )
        self._note_cost(figures, report, before)
        subject.note(figures, report)
        if subject.live_url and self._dashboards:
            self._note_levels(figures, report, browsers)
        if watch:
            note_journals(figures, report, watch)
        return figures

    @asynccontextmanager
    async def _watched(
        self, load_plan: LoadPlan, seconds: float
    ) -> AsyncIterator[SpoolWatch | None]:
        """Watches the spool, if the subject has one."""
        if not (self._subject.spool and self._subject.data_dir):
            yield None
            return
        keep = to_keep([call.connection_id for call in load_plan.calls], seconds)
        watch = SpoolWatch(
            self._subject.spool, self._subject.data_dir / f"kept-{time.time_ns()}", keep
        )
        task = asyncio.create_task(watch.run())
        try:
            yield watch
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _sample(self, load: Load) -> None:
        """Samples the processes from the start of the window to its end."""
        self.moments.append(self._moment())
        ending = asyncio.create_task(load.window_ended())
        while not ending.done():
            await asyncio.wait([ending], timeout=SAMPLE_SECONDS)
            self.moments.append(self._moment())
        await ending

    def _moment(self) -> Moment:
        return Moment(
            time.time(), cores.cost_of(self._subject.pids), cores.cost_of(self._backends.pids)
        )

    def _note_cost(self, figures: Figures, report: Report, before: Moment) -> None:
        first, last = self.moments[0], self.moments[-1]
        packets = figures.packets_measured = max(1, report.window_packets)
        cpu = last.ours.cpu_seconds - first.ours.cpu_seconds
        figures.cpu_us = cpu / packets * 1e6
        if self._backends.pids:
            figures.database_cpu_us = (
                (last.database.cpu_seconds - first.database.cpu_seconds) / packets * 1e6
            )
        figures.server_busy = cpu / (last.at - first.at)
        figures.processes = last.ours.processes
        figures.memory_kb_per_call = (
            (last.ours.resident_bytes - before.ours.resident_bytes) / 1024 / figures.calls
        )
        figures.late_p99_ms = report.late.quantile_ms(0.99) or 0.0
        figures.generator_busy = report.cpu_seconds / (
            report.window_us[1] / 1e6 - report.started_us / 1e6
        )
        figures.broken = report.broken

    def _note_levels(self, figures: Figures, report: Report, browsers: Browsers) -> None:
        found = browsers.rises.latencies(self._subject.participants(report), report.window_us)
        figures.levels_p50_ms, figures.levels_p95_ms = (
            found.quantile_ms(0.5),
            found.quantile_ms(0.95),
        )
        last = browsers.rises.last_loud_us
        figures.levels_after_end_seconds = max(0.0, (last - report.window_us[1]) / 1e6)
        if not last:
            figures.broken = {**figures.broken, "dashboard": "no levels"}


def note_journals(figures: Figures, report: Report, watch: SpoolWatch) -> None:
    """Records the lag, and the sealer's backlog."""
    arrivals = Arrivals()
    indexes = {call.connection_id: call.index for call in report.calls}
    for kept in watch.kept:
        packets = list(packet_records_in(kept.path.read_bytes()))
        kept.path.unlink()
        fraction_us = report.fraction_us(indexes[kept.connection_id])
        first, end = report.window_us
        arrivals.add_file(packets, fraction_us, report.window_us)
        arrivals.add_samples(
            packets, fraction_us, [sample for sample in kept.probes if first <= sample[0] < end]
        )
    figures.lag_p50_ms, figures.lag_p99_ms = (
        arrivals.lag.quantile_ms(0.5),
        arrivals.lag.quantile_ms(0.99),
    )
    figures.hidden_ms = arrivals.hidden_ms
    figures.unwritten_p99_ms = arrivals.unwritten.quantile_ms(0.99)
    first_at, end_at = (us / 1e6 for us in report.window_us)
    note_backlog(figures, [waiting for waiting in watch.waiting if first_at <= waiting.at < end_at])


def note_backlog(figures: Figures, waiting: list[Waiting]) -> None:
    """Records how long finished files waited for the sealer, and whether their number grew."""
    third = len(waiting) // 3
    if third:
        figures.seal_lag_seconds = max(one.lag_seconds for one in waiting)
        first, last = waiting[:third], waiting[-third:]
        figures.backlog = (
            sum(one.files for one in first) / third,
            sum(one.files for one in last) / third,
        )
