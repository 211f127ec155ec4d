"""Plays ACS against a media socket: see docs/simulator.md, and `streams.simulator` for the
library.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streams.simulator.casting import plan_of
from streams.simulator.errors import BadPlan
from streams.simulator.options import add_arguments
from streams.simulator.plan import Plan
from streams.simulator.play import play
from streams.simulator.progress import show_progress, table_of
from streams.simulator.report import Report
from streams.simulator.scenario.capture import Capture

BAD_OPTIONS = 2
INCOMPLETE = 1


class Command(BaseCommand):
    help = (
        "Plays ACS: opens sockets to --url and streams calls, from audio files or tones, with "
        "faults on request."
    )
    requires_system_checks: list[str] = []  # it needs only the server at --url

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        add_arguments(parser)

    def handle(self, **options: Any) -> None:
        """Exit code 0 if everything was sent and accepted, 1 if not, 2 for invalid options."""
        try:
            plan = plan_of(
                options,
                stream_token=settings.ACS_STREAM_TOKEN,
                events_token=settings.ACS_EVENTS_TOKEN,
                resource_id=settings.ACS_RESOURCE_ID,
            )
        except BadPlan as error:
            raise CommandError(str(error), returncode=BAD_OPTIONS) from error
        for call in plan.calls:
            if isinstance(call.script, Capture) and call.script.damaged_bytes:
                damaged = call.script.damaged_bytes
                self.stderr.write(f"{damaged} bytes of the capture are damaged and were left out")
        report = asyncio.run(_run(plan, quiet=options["quiet"]))
        if options["ledger"]:
            ledger = json.dumps(report.ledger(), indent=2) + "\n"
            try:
                options["ledger"].write_text(ledger)
            except OSError as error:
                raise CommandError(
                    f"--ledger {options['ledger']}: {error.strerror}", returncode=INCOMPLETE
                ) from error
        if not options["quiet"]:
            self.stdout.write(table_of(report), ending="")
        _check(report, plan)


async def _run(plan: Plan, *, quiet: bool) -> Report:
    """Plays until the end or an interruption; removes the bar before the table is printed."""
    report, stop = Report(), asyncio.Event()
    if threading.current_thread() is threading.main_thread():  # only it receives signals
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        bar = None if quiet else group.create_task(show_progress(report, endless=plan.loop))
        await play(plan, report=report, stop=stop)
        if bar is not None:
            bar.cancel()
    return report


def _check(report: Report, plan: Plan) -> None:
    """Raises `CommandError` unless everything was sent and accepted. A loop ends by
    interruption.
    """
    if report.failed:
        problems = "; ".join(sorted({call.problem for call in report.failed}))
        message = f"{len(report.failed)} of {len(report.calls)} calls failed: {problems}"
        raise CommandError(message, returncode=INCOMPLETE)
    if report.interrupted and not plan.loop:
        raise CommandError("interrupted before everything was sent", returncode=INCOMPLETE)
