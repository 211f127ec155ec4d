"""Refused handshakes that do not come from the media socket itself: logged, counted, stored.

The recorder of the process counts them, and its sealer writes their rows. A process of ROLE=web has
neither: a thread of it, started by the first refusal, writes the rows. It raises no alarm.
"""

from __future__ import annotations

import time
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from streams.acs.auth import Reason, RefusalLog
from streams.acs.consumer import has_call_id, origin_of
from streams.recorder import Recorder
from streams.refused import NOBODY, RefusedHandshakes
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
            self._writer.rows.add(name, from_acs=from_acs, origin=origin, now=time.time())
            self._writer.start()


class RefusalWriter:
    """Writes rows of refused handshakes in a thread of its own. While the database is away they
    wait, within the bounds of `RefusedHandshakes`.
    """

    def __init__(self) -> None:
        self._process = uuid4()
        self.rows = RefusedHandshakes(self._process)
        self._thread: Thread | None = None
        self._lock = Lock()

    def start(self) -> None:
        """Starts the thread; does nothing if it runs."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="refusal-writer", daemon=True)
                self._thread.start()

    def write(self) -> None:
        """Writes the waiting rows. An error of the database is logged, and they wait on."""
        try:
            write_refused(self.rows, self._process)
        except DatabaseError as error:
            log.warning("refusals delayed", error=type(error).__name__)
        finally:
            connections.close_all()

    def _run(self) -> None:
        while True:
            time.sleep(WRITE_SECONDS)
            self.write()
