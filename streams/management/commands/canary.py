"""Places canary calls, and compares what comes back: see docs/canary.md."""

from __future__ import annotations

import argparse
import re
import signal
import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import close_old_connections

from calls.canary import account, runs
from calls.canary.runs import Result
from calls.models import CanaryRun
from calls.storage import cause_of
from calls.wording import CANARY_FAILURES
from streams.canary.addresses import Addresses, addresses_of
from streams.canary.run import Canary, run

log = structlog.get_logger(__name__)

BAD_OPTIONS = 2
FAILED = 1
SECONDS = 12.0
"""Default length: longer than a segment of the default length, so that there is a seam."""

WAIT_SECONDS = 60.0
_UNITS = {"s": 1, "m": 60, "h": 3600}


def interval(text: str) -> float:
    """Parses 90s, 5m or 1h into seconds, 10 s to a day."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 10 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not 10s to 24h, such as 5m")
    return seconds


def length(text: str) -> float:
    """Parses a number of seconds, 1 to 240."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 240:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 240")
    return seconds


class Command(BaseCommand):
    help = (
        "Places a synthetic call through the public address, fetches it back through REST, and "
        "compares every sample. Raises the alarm canary_failed if anything is different."
    )

    requires_system_checks: list[str] = []  # it records nothing, and needs no folder

    def add_arguments(self, parser: CommandParser) -> None:
        often = parser.add_mutually_exclusive_group(required=True)
        often.add_argument(
            "--every", type=interval, metavar="INTERVAL", help="repeat it: 90s, 5m or 1h"
        )
        often.add_argument(
            "--once", action="store_true", help="one call; exit code 1 if anything is different"
        )
        often.add_argument(
            "--end",
            action="store_true",
            help="no more canary calls are expected: raise no alarm because none comes",
        )
        parser.add_argument(
            "--url",
            default="",
            metavar="ADDRESS",
            help="the site, if not PUBLIC_URL, such as http://127.0.0.1:8000",
        )
        parser.add_argument(
            "--seconds", type=length, default=SECONDS, help="length (default: %(default)g)"
        )
        parser.add_argument(
            "--wait",
            type=length,
            default=WAIT_SECONDS,
            metavar="SECONDS",
            help="longest time until it is in REST (default: %(default)g)",
        )

    def handle(self, **options: Any) -> None:
        """Exit code 0 if the call came back as it was sent, 1 if not, 2 for invalid options."""
        if options["end"]:
            runs.expect_no_more()
            return
        addresses = _addresses(options["url"])
        if options["once"]:
            self._report(_attempt(addresses, options, None))
            return
        self._repeat(addresses, options)

    def _repeat(self, addresses: Addresses, options: dict[str, Any]) -> None:
        """Places a call every so often until SIGTERM or SIGINT."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):  # a run that has begun is finished
            signal.signal(number, lambda *_arguments: stopping.set())
        every = options["every"]
        due = time.monotonic()
        while not stopping.wait(max(due - time.monotonic(), 0.0)):
            _attempt(addresses, options, every)
            due = max(due + every, time.monotonic())

    def _report(self, result: Result | None) -> None:
        if result is None:
            raise CommandError("The database did not answer; see the log.", returncode=FAILED)
        if result.reason:
            text = f"Canary call failed: {CANARY_FAILURES[result.reason]}"
            raise CommandError(
                f"{text} ({result.detail})" if result.detail else text, returncode=FAILED
            )
        self.stdout.write(
            f"{result.sample_count} samples came back as they were sent, "
            f"in REST after {result.delay_seconds:.1f} s"
        )


def _addresses(url: str) -> Addresses:
    """Raises `CommandError`."""
    site = url or (settings.PUBLIC_URL and settings.PUBLIC_URL + (settings.FORCE_SCRIPT_NAME or ""))
    if not site:
        raise CommandError("Set PUBLIC_URL, or give --url.", returncode=BAD_OPTIONS)
    try:
        return addresses_of(site)
    except ValueError as error:
        raise CommandError(f"--url: {error}", returncode=BAD_OPTIONS) from None


def _attempt(addresses: Addresses, options: dict[str, Any], every: float | None) -> Result | None:
    """Returns the result of one run; None if the database did not answer."""
    close_old_connections()
    try:
        key = account.key_of_account()
        row = runs.begin(every)
    except DatabaseError as error:
        log.error("canary not placed", reason=cause_of(error))
        return None
    except account.UnexpectedAccount as error:
        raise CommandError(str(error), returncode=BAD_OPTIONS) from None
    canary = Canary(addresses, key, settings.ACS_STREAM_TOKEN, options["seconds"], options["wait"])
    result = run(canary, row.call_connection_id, row.pk.int)
    return result if _finish(row, result) else None


def _finish(row: CanaryRun, result: Result) -> bool:
    """Writes the result, and says whether the database took it."""
    failed = {"reason": result.reason, "detail": result.detail}
    if result.reason:
        log.error("canary failed", run=str(row.pk), **failed)
    else:
        log.info("canary passed", run=str(row.pk), delay_seconds=result.delay_seconds)
    close_old_connections()
    try:
        runs.finish(row, result)
    except DatabaseError as error:
        log.error("canary not stored", run=str(row.pk), reason=cause_of(error))
        return False
    return True
