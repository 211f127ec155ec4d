"""Publishes sealing failures and process status as rows, because the overview in the admin is on
another host.

Rows follow the files: a file that no longer exists has been sealed, and its row is deleted. Only
retry requests depend on these rows, so a write that fails is repeated five seconds later.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID, uuid5

import structlog
from django.db import Error as DatabaseError

from calls.live.messages import AlarmNews, Refusals
from calls.models import FailedJournal, RecorderProcess
from calls.notifications import alarms
from calls.notifications.alarms import ActiveAlarm
from calls.notifications.payloads import refusal_detail
from streams.journal.spool import JOURNALS, SET_ASIDE
from streams.refused import RefusedSource
from streams.refused_rows import write_refused
from streams.stats import Backlog, SealStage

log = structlog.get_logger(__name__)

CHECK_SECONDS = timedelta(seconds=30)
"""Interval between searches of all folders for files that other processes have set aside."""
MAX_NOTED = 1_000
"""Failed files that one process remembers; with more than that something is wrong with all of
them, and a thousand show it.
"""
OUTAGE = timedelta(seconds=30)
"""Time between two reports of this process after which the database counts as having been away."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""Age at which the row of a process without a heartbeat is deleted."""


@dataclass
class _Failure:
    error: str = ""
    tries: int = 0
    failed_at: datetime | None = None
    """None for a file that this process has only found, not tried."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """Figures of a process. `last_error`: of the newest failed attempt to seal. `refusals`: refused
    handshakes of the last hour.
    """

    open_streams: int
    segments_sealed: int
    failures: Mapping[SealStage, int]
    backlog: Backlog
    last_error: str
    refusals: Refusals


class FailureLog:
    """`note` failures, and `sync` them with the database from time to time.

    Files are remembered without their last suffix, which changes when one is set aside and when it
    is retried.
    """

    def __init__(self, spool_folder: Path, own: Path, began: datetime) -> None:
        self._spool = spool_folder
        self._own = own
        self._failures: dict[Path, _Failure] = {}
        self._began = began
        self._searched_at: datetime | None = None
        self._reported_at: datetime | None = None
        self._steady_since = began
        self._refused: Mapping[str, int] = {}  # handshakes of ACS in the last hour, by reason
        # Folders that had rows: a folder is removed once it is sealed, its rows are still there.
        self._folders_with_rows: set[str] = set()

    def note(self, path: Path, error: str, now: datetime) -> None:
        stem = path.with_suffix("")
        if stem not in self._failures and len(self._failures) >= MAX_NOTED:
            return
        failure = self._failures.setdefault(stem, _Failure())
        failure.error, failure.tries = error, failure.tries + 1
        failure.failed_at = failure.failed_at or now

    def sync(self, status: ProcessStatus, now: datetime) -> set[Path]:
        """Writes the current status; clears the requests for a retry and returns their files.

        Raises `django.db.Error`.
        """
        self._write_process(status, now)
        self._refused = status.refusals["from_acs"]
        # not within the interval before or after it: the clock may have been set back
        if self._searched_at is None or abs(now - self._searched_at) >= CHECK_SECONDS:
            self._searched_at = now
            for stem in islice(self._set_aside(), MAX_NOTED - len(self._failures)):
                self._failures.setdefault(stem, _Failure())
        self._write_failures(now)
        # Only files that this process has tried or found: other requests are for other processes.
        requested = {
            stem: row.id
            for stem, row in self._rows().items()
            if row.retry_asked_at and stem in self._failures
        }
        if requested:
            FailedJournal.objects.filter(id__in=requested.values()).update(retry_asked_at=None)
        return {path for stem in requested if (path := _prepare_retry(stem))}

    def write_news(
        self, refused: RefusedSource, active: Sequence[AlarmNews] | None, now: datetime
    ) -> None:
        """Writes rows of refused handshakes, and of alarms. Raises `django.db.Error`: they wait."""
        write_refused(refused, UUID(self._own.name))
        self.report_alarms(active, now)

    def report_alarms(self, active: Sequence[AlarmNews] | None, now: datetime) -> None:
        """Writes the active alarms of this process, and clears alarms of processes that are gone.

        Does nothing while they are not known. Raises `django.db.Error`.
        """
        if active is not None:
            alarms.report(self._own.name, [_alarm_of(news, self._refused) for news in active])
        # After an outage of the database, processes that live look as if they were gone, until they
        # have reported again.
        if self._reported_at is None or abs(now - self._reported_at) > OUTAGE:
            self._steady_since = now
        self._reported_at = now
        if abs(now - self._steady_since) >= alarms.LOST_AFTER:
            alarms.clear_lost()

    def _write_process(self, status: ProcessStatus, now: datetime) -> None:
        row = RecorderProcess(
            id=UUID(self._own.name),
            host=socket.gethostname()[:255],
            started_at=self._began,
            seen_at=now,
            open_streams=status.open_streams,
            segments_sealed=status.segments_sealed,
            seal_lag_seconds=status.backlog.lag_seconds,
            spool_files=status.backlog.files,
            spool_bytes=status.backlog.size_bytes,
            failures=dict(status.failures),
            last_error=status.last_error,
            refusals=status.refusals,
        )
        columns = [field.name for field in RecorderProcess._meta.fields if not field.primary_key]
        RecorderProcess.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["id"], update_fields=columns
        )
        RecorderProcess.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()

    def _set_aside(self) -> Iterator[Path]:
        """Yields the files that any process has set aside: the process itself may be gone."""
        for folder in self._folders():
            try:
                names = os.listdir(self._spool / folder)  # noqa: PTH208 - thousands of names
            except FileNotFoundError:  # removed just now
                continue
            yield from (
                (self._spool / folder / name).with_suffix("")
                for name in names
                if name.endswith(SET_ASIDE)
            )

    def _folders(self) -> set[str]:
        """Returns the names of process folders; others, such as lost+found, are ignored."""
        folders = set()
        for path in self._spool.iterdir():
            with suppress(ValueError):
                if str(UUID(path.name)) == path.name:
                    folders.add(path.name)
        return folders

    def _write_failures(self, now: datetime) -> None:
        """Writes the outcome of files that this process has tried, and the presence of those it has
        only found.
        """
        rows: dict[bool, list[FailedJournal]] = {True: [], False: []}
        for stem, failure in list(self._failures.items()):
            if path := _file_of(stem):
                row = FailedJournal(
                    id=uuid5(UUID(path.parent.name), path.stem),
                    process=UUID(path.parent.name),
                    name=path.name,
                    error=failure.error,
                    tries=failure.tries,
                    is_set_aside=path.suffix == SET_ASIDE,
                    failed_at=failure.failed_at or now,
                    seen_at=now,
                )
                rows[failure.tries > 0].append(row)
            else:  # it has been sealed
                del self._failures[stem]
        found = ["name", "is_set_aside", "seen_at"]
        for has_tried, update in ((True, [*found, "error", "tries"]), (False, found)):
            FailedJournal.objects.bulk_create(
                rows[has_tried], update_conflicts=True, unique_fields=["id"], update_fields=update
            )

    def _rows(self) -> dict[Path, FailedJournal]:
        """Returns the rows of this spool, by file without suffix; deletes those of sealed files."""
        folders = self._folders() | self._folders_with_rows
        rows = {
            (self._spool / str(row.process) / row.name).with_suffix(""): row
            for row in FailedJournal.objects.filter(process__in=folders)
        }
        self._folders_with_rows = {stem.parent.name for stem in rows}
        sealed = [rows.pop(stem).id for stem in list(rows) if _file_of(stem) is None]
        if sealed:
            FailedJournal.objects.filter(id__in=sealed).delete()
        return rows


def write_last_refused(own: Path, source: RefusedSource) -> None:
    """Writes the refused handshakes of the last seconds of a recorder, if the database answers."""
    try:
        write_refused(source, UUID(own.name))
    except DatabaseError as error:
        count = sum(row.count for row in source.unwritten())
        log.warning("refusals not stored", count=count, error=type(error).__name__)


def forget_process(own: Path) -> None:
    """Deletes the row of a process that is stopped in good order, and clears its alarms."""
    try:
        alarms.clear_all(own.name, "process_stopped")
        RecorderProcess.objects.filter(id=UUID(own.name)).delete()
    except DatabaseError as error:  # it will be deleted with the rows of dead processes
        log.info("process row not deleted", error=type(error).__name__)


def _alarm_of(news: AlarmNews, refused: Mapping[str, int]) -> ActiveAlarm:
    detail = refusal_detail(refused) if news["alarm"] == "acs_refused" else {}
    return ActiveAlarm(
        news["alarm"],
        UUID(news["call"]) if news["call"] else None,
        UUID(news["participant"]) if news["participant"] else None,
        datetime.fromisoformat(news["since"]),
        detail,
    )


def _file_of(stem: Path) -> Path | None:
    """Returns the file under its current name; None if it is gone."""
    named = (stem.with_name(stem.name + suffix) for suffix in (*JOURNALS, SET_ASIDE))
    return next((path for path in named if path.exists()), None)


def _prepare_retry(stem: Path) -> Path | None:
    """Restores the name of a file that was set aside; returns the file, or None if it is gone."""
    path = _file_of(stem)
    if path is None or path.suffix != SET_ASIDE:
        return path
    journal = path.with_suffix(".journal")
    try:
        path.rename(journal)
    except FileNotFoundError:  # another process was faster, or someone has removed it
        return None
    log.info("journal retry requested", journal=journal.name)
    return journal
