"""Seals all journals in the spool of this host, before it is moved or taken out of service.

Journals of a running process are left to that process, and waited for: stop recorders first. Exit
code 0 means that the spool holds no audio any more.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from streams.journal import spool
from streams.journal.backlog import backlog_of
from streams.sealing.failures import forget_process
from streams.sealing.sealer import Sealer

CHECK_SECONDS = 0.5
REPORT_SECONDS = 5.0
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Left:
    """Numbers of files that still hold audio; `set_aside` can be sealed by nobody."""

    journals: int
    set_aside: int


class Command(BaseCommand):
    help = (
        "Seals all journals in the spool of this host, whose recorders have been stopped. Exit "
        "code 0: the spool is empty. Exit code 1: journals are left, as listed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--timeout",
            type=float,
            default=3600.0,
            metavar="SECONDS",
            help="Give up after this time, for example if the store is unreachable (3600).",
        )

    def handle(self, *, timeout: float, **_options: Any) -> None:
        spool_folder = Path(settings.SPOOL_DIR)
        if not spool_folder.is_dir():
            self.stdout.write(f"{spool_folder} does not exist: no journal was ever written here.")
            return
        deadline, report_at = time.monotonic() + timeout, 0.0
        with sealing(spool_folder) as sealer:
            while (left := left_in(spool_folder)).journals and time.monotonic() < deadline:
                if time.monotonic() >= report_at:
                    self.stdout.write(f"{left.journals} journals left")
                    report_at = time.monotonic() + REPORT_SECONDS
                sealer.wake()
                time.sleep(CHECK_SECONDS)
            sealed = sealer.segments_sealed
        left = left_in(spool_folder)
        if left.journals or left.set_aside:
            raise CommandError(
                f"{left.journals} journals left, {left.set_aside} set aside, in {spool_folder}: "
                "they are audio that is stored nowhere else. Running recorders keep theirs; see "
                "the log, and /admin/overview/ for failed jobs."
            )
        self.stdout.write(f"The spool is empty; {sealed} segments were sealed.")


@contextmanager
def sealing(spool_folder: Path) -> Iterator[Sealer]:
    """Runs a sealer with an empty folder of its own, which takes over those of dead processes."""
    folder = spool.claim(spool_folder)
    sealer = Sealer(spool_folder, folder.path)
    sealer.start()
    try:
        yield sealer
    finally:
        if sealer.stop(STOP_SECONDS):
            folder.release(remove_empty=True)
        forget_process(folder.path)


def left_in(spool_folder: Path) -> Left:
    set_aside = sum(
        name.endswith(spool.SET_ASIDE)
        for folder in spool_folder.iterdir()
        for name in _names_in(folder)
    )
    return Left(backlog_of(spool_folder, time.time()).files, set_aside)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - thousands of names
    except (FileNotFoundError, NotADirectoryError):  # removed by the sealer
        return []
