"""Refused handshakes that do not come from the media socket itself: logged, counted, stored.

The recorder of the process counts them, and its sealer writes their rows. A process of ROLE=web has
neither: a thread of it, started by the first refusal, writes the rows, and the alarm.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from calls.notifications import alarms
from calls.notifications.alarms import ActiveAlarm
from calls.notifications.payloads import refusal_detail
from streams.acs.auth import Reason, RefusalLog
from streams.acs.consumer import has_call_id, origin_of
from streams.live.alarm_rules import REFUSED_SECONDS
from streams.live.refusals import RefusalCounts
from streams.recorder import Recorder
from streams.refused import NOBODY, Origin, RefusedHandshakes
from streams.refused_rows import write_refused

log = structlog.get_logger(__name__)

WRITE_SECONDS = 5.0


class Refusals:
    """One per process. `recorder`: None in a process that has none."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._writer = RefusalWriter()
        self._log = RefusalLog(time.monotonic)

    def note(self, reason: Reason, scope: dict[str, Any]) -> None:
        self._log.write(reason, scope)
        name, from_acs = reason.name.lower(), has_call_id(scope)
        origin = origin_of(scope) if from_acs else NOBODY
        if self._recorder:
            self._recorder.note_refusal(name, from_acs=from_acs, origin=origin)
            self._recorder.note_handshake("refused")
        else:
            self._writer.add(name, from_acs=from_acs, origin=origin)
            self._writer.start()


class RefusalWriter:
    """Writes rows of refused handshakes, and the alarm while ACS is being refused, in a thread of
    its own, which ends when nothing is left to write. While the database is away they wait, within
    the bounds of `RefusedHandshakes`.
    """

    def __init__(self) -> None:
        self._process = uuid4()
        self._rows, self._counts = RefusedHandshakes(self._process), RefusalCounts()
        self._alarm_since: datetime | None = None
        self._refused_at = float("-inf")  # from ACS, by the steady clock
        self._thread: Thread | None = None
        self._lock = Lock()

    def add(self, reason: str, *, from_acs: bool, origin: Origin) -> None:
        now = time.monotonic()
        self._rows.add(reason, from_acs=from_acs, origin=origin, now=time.time())
        self._counts.add(reason, from_acs=from_acs, now=now)
        if from_acs:
            self._refused_at = now

    def start(self) -> None:
        """Starts the thread, also again if it has ended or died; does nothing if it runs."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="refusal-writer", daemon=True)
                self._thread.start()

    def write(self, now: float) -> None:
        """Writes the waiting rows. An error is logged, and they wait on. `now`: by the steady
        clock.
        """
        try:
            write_refused(self._rows, self._process)
            self._report_alarm(now)
        except DatabaseError as error:
            log.warning("refusals delayed", error=type(error).__name__)
        except Exception:  # a fault of the program must be seen, and not end the thread
            log.exception("refusals delayed")
        finally:
            connections.close_all()

    def _report_alarm(self, now: float) -> None:
        """Raises the alarm, keeps it, or clears it a minute after the last refusal."""
        if now - self._refused_at < REFUSED_SECONDS:
            self._alarm_since = self._alarm_since or datetime.now(UTC)
            detail = refusal_detail(self._counts.last_hour(now)["from_acs"])
            alarm = ActiveAlarm("acs_refused", None, None, self._alarm_since, detail)
            alarms.report(str(self._process), [alarm])
        elif self._alarm_since is not None:
            alarms.report(str(self._process), [])
            self._alarm_since = None

    def _run(self) -> None:
        while True:
            time.sleep(WRITE_SECONDS)
            self.write(time.monotonic())
            with self._lock:  # who adds one now starts another thread afterwards
                if self._alarm_since is None and not self._rows.unwritten():
                    self._thread = None
                    return
