"""What could not be sealed, and the process that says so, as rows: the overview in the admin is on
another host.

Rows follow the files: a file that is there no more has been sealed, and its row goes. Nothing
depends on these rows but the wish to try again, so what cannot be written now is written five
seconds later.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID, uuid5

import structlog

from calls.models import FailedJournal, RecorderProcess
from streams.journal.spool import JOURNALS, SET_ASIDE
from streams.stats import Backlog, SealStage

log = structlog.get_logger(__name__)

CHECK_SECONDS = timedelta(seconds=30)
"""Names of all files are read for what others have set aside."""
MAX_NOTED = 1_000
"""Failed files that one process remembers; beyond that something is wrong with all of them, and a
thousand show it.
"""
FORGOTTEN_AFTER = timedelta(hours=1)
"""A process that has said nothing for so long is no more in the overview."""


@dataclass
class _Failure:
    error: str = ""
    tries: int = 0
    failed_at: datetime | None = None
    """None: it lay there when this process began."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What a process says of itself. `last_error`: of the newest attempt to seal that failed."""

    open_streams: int
    segments_sealed: int
    failures: Mapping[SealStage, int]
    backlog: Backlog
    last_error: str


class FailureLog:
    """`note` what fails, `sync` it with the database from time to time.

    Files are remembered without their last suffix, which changes when one is set aside and when it
    is tried again.
    """

    def __init__(self, spool_folder: Path, own: Path, began: datetime) -> None:
        self._spool = spool_folder
        self._own = own
        self._failures: dict[Path, _Failure] = {}
        self._began = began
        self._looked_at: datetime | None = None
        self._told: set[str] = (
            set()
        )  # folders of which there were rows: a sealed one is taken away, its rows stay

    def note(self, path: Path, error: str, now: datetime) -> None:
        stem = path.with_suffix("")
        if stem not in self._failures and len(self._failures) >= MAX_NOTED:
            return
        failure = self._failures.setdefault(stem, _Failure())
        failure.error, failure.tries = error, failure.tries + 1
        failure.failed_at = failure.failed_at or now

    def sync(self, said: ProcessStatus, now: datetime) -> set[Path]:
        """Writes what is so, reads what is wished: files that are to be tried now. Raises what the
        database does.
        """
        self._write_process(said, now)
        if self._looked_at is None or now - self._looked_at >= CHECK_SECONDS:
            self._looked_at = now
            for stem in islice(self._set_aside(), MAX_NOTED - len(self._failures)):
                self._failures.setdefault(stem, _Failure())
        self._write_failures(now)
        return self._retry_requested(self._known())

    def _write_process(self, said: ProcessStatus, now: datetime) -> None:
        row = RecorderProcess(
            id=UUID(self._own.name),
            host=socket.gethostname()[:255],
            started_at=self._began,
            seen_at=now,
            open_streams=said.open_streams,
            segments_sealed=said.segments_sealed,
            seal_lag_seconds=said.backlog.lag_seconds,
            spool_files=said.backlog.files,
            spool_bytes=said.backlog.size_bytes,
            failures=dict(said.failures),
            last_error=said.last_error,
        )
        columns = [field.name for field in RecorderProcess._meta.fields if not field.primary_key]
        RecorderProcess.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["id"], update_fields=columns
        )
        RecorderProcess.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()

    def _set_aside(self) -> Iterator[Path]:
        """Of every process of the spool: the one that set a file aside may be gone."""
        for folder in self._folders():
            try:
                names = os.listdir(self._spool / folder)  # noqa: PTH208 - thousands of names
            except FileNotFoundError:  # taken away this moment
                continue
            yield from (
                (self._spool / folder / name).with_suffix("")
                for name in names
                if name.endswith(SET_ASIDE)
            )

    def _folders(self) -> set[str]:
        """Those of processes, that are there. A file system may have folders of its own, such as
        lost+found.
        """
        return {path.name for path in self._spool.iterdir() if _is_id(path.name)}

    def _write_failures(self, now: datetime) -> None:
        """What this process has tried, with the outcome; of what it has only found, that it is
        still there.
        """
        rows: dict[bool, list[FailedJournal]] = {True: [], False: []}
        for stem, failure in list(self._failures.items()):
            if path := _file_of(stem):
                rows[failure.tries > 0].append(_row(path, failure, now))
            else:  # it has been sealed
                del self._failures[stem]
        found = ["name", "is_set_aside", "seen_at"]
        for has_tried, update in ((True, [*found, "error", "tries"]), (False, found)):
            FailedJournal.objects.bulk_create(
                rows[has_tried], update_conflicts=True, unique_fields=["id"], update_fields=update
            )

    def _known(self) -> dict[Path, FailedJournal]:
        """Rows of this spool, by what is remembered of a file. Those of files that have been sealed
        are deleted.
        """
        known = {
            self._place_of(row): row
            for row in FailedJournal.objects.filter(process__in=self._folders() | self._told)
        }
        self._told = {stem.parent.name for stem in known}
        sealed = [known.pop(stem).id for stem in list(known) if _file_of(stem) is None]
        if sealed:
            FailedJournal.objects.filter(id__in=sealed).delete()
        return known

    def _retry_requested(self, known: Mapping[Path, FailedJournal]) -> set[Path]:
        """Has files tried again of which that is wished, and takes the wish back.

        Only what this process has tried or found: a wish for what another one has tried is for that
        one.
        """
        wished = {
            stem: row.id
            for stem, row in known.items()
            if row.retry_asked_at and stem in self._failures
        }
        if wished:
            FailedJournal.objects.filter(id__in=wished.values()).update(retry_asked_at=None)
        return {path for stem in wished if (path := _tried_again(stem))}

    def _place_of(self, row: FailedJournal) -> Path:
        return (self._spool / str(row.process) / row.name).with_suffix("")


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _row(path: Path, failure: _Failure, now: datetime) -> FailedJournal:
    return FailedJournal(
        id=uuid5(UUID(path.parent.name), path.stem),
        process=UUID(path.parent.name),
        name=path.name,
        error=failure.error,
        tries=failure.tries,
        is_set_aside=path.suffix == SET_ASIDE,
        failed_at=failure.failed_at or now,
        seen_at=now,
    )


def _file_of(stem: Path) -> Path | None:
    """As it is called now; None where it is gone."""
    named = (stem.with_name(stem.name + suffix) for suffix in (*JOURNALS, SET_ASIDE))
    return next((path for path in named if path.exists()), None)


def _tried_again(stem: Path) -> Path | None:
    """The file as the sealer will find it; None where it is gone."""
    path = _file_of(stem)
    if path is None or path.suffix != SET_ASIDE:
        return path
    journal = path.with_suffix(".journal")
    try:
        path.rename(journal)
    except FileNotFoundError:  # another process was faster, or somebody has taken it away
        return None
    log.info("journal to be tried again", journal=journal.name)
    return journal
