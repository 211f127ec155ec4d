"""Liveness and readiness probes.

`/healthz` answers 200 as long as the event loop runs; it touches nothing else. `/readyz` tries each
dependency and reports it by name. Recording needs only the journal folder and free space in it.
Without the database or the channel layer calls are still recorded and caught up later, so these
failures are reported as degraded and the status stays 200. A process of ROLE=web needs the database
and has no journals. `/readyz?require=database,layer` answers 503 also if one of these is
unreachable.

Answers contain names, times and the type of an error, no addresses and no messages: they are
public.

The database has a probe here and a watch in `database_watch`, because they answer different
questions: a probe waits for a fresh result and reports its duration, on any database; the watch
never waits and reports no outage before it has found one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import resolve
from django.utils.decorators import sync_and_async_middleware
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from streams.daemon_thread import in_daemon_thread
from streams.ingest.disk_quota import DiskQuota
from streams.journal.backlog import backlog_of

PROBE_SECONDS = 2.0
"""Time limit of one probe. All run concurrently, so the whole answer takes no longer."""

KEEP_SECONDS = 1.0
"""How long a result is reused, so that frequent requests cost the disk and database nothing."""

GIVE_UP_SECONDS = 30.0
"""A trial that hangs longer is abandoned, and the next request starts a new one."""

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True)
class ProbeResult:
    """Result and duration of a probe; `why` is the reason of a failure, "" on success."""

    why: str
    milliseconds: float

    @property
    def ok(self) -> bool:
        return not self.why

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"ok": self.ok, "ms": round(self.milliseconds, 1)}
        return shown if self.ok else {**shown, "why": self.why}


class CannotRecord(Exception):
    """A condition that prevents recording. Its message is public."""


class ThreadedTrial:
    """Runs a blocking trial in a thread and awaits it.

    While a trial hangs no second one is started, so threads do not pile up during an outage.
    """

    def __init__(
        self, trial: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trial = trial
        self._clock = clock
        self._running: Future[Exception | None] | None = None
        self._started_at = 0.0

    async def __call__(self) -> None:
        """Raises what the trial raises."""
        if (
            self._running is None
            or self._running.done()
            or self._clock() - self._started_at > GIVE_UP_SECONDS
        ):
            self._started_at = self._clock()
            self._running = in_daemon_thread(self._outcome, name="readyz")
        waiter = asyncio.wrap_future(self._running)
        await asyncio.wait({waiter})  # cancelled at a timeout, which leaves the thread alone
        if (failure := waiter.result()) is not None:
            raise failure

    def _outcome(self) -> Exception | None:
        try:
            self._trial()
        # raised again in the awaiting task, if it still waits
        except Exception as error:  # noqa: BLE001
            return error
        return None


class Probe:
    """One trial with a time limit. Its result is reused for `KEEP_SECONDS`."""

    def __init__(
        self,
        trial: Callable[[], Awaitable[None]],
        *,
        seconds: float = PROBE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trial = trial
        self._seconds = seconds
        self._clock = clock
        self._last: ProbeResult | None = None
        self._last_at = 0.0

    async def check(self) -> ProbeResult:
        """Never raises. A failure is reported by its type only: its text may name hosts."""
        if self._last is not None and self._clock() - self._last_at < KEEP_SECONDS:
            return self._last
        started_at = self._clock()
        try:
            async with asyncio.timeout(self._seconds):
                await self._trial()
        except TimeoutError:
            why = "timeout"
        except CannotRecord as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - see above
            why = type(error).__name__
        else:
            why = ""
        self._last_at = self._clock()
        self._last = ProbeResult(why, (self._last_at - started_at) * 1000)
        return self._last


def try_journal() -> None:
    """Checks the free space of the spool's disk, and writes and syncs an unnamed file there."""
    folder = Path(settings.SPOOL_DIR)
    folder.mkdir(0o700, parents=True, exist_ok=True)
    free_megabytes = shutil.disk_usage(folder).free // 1_000_000
    if free_megabytes < settings.MIN_FREE_DISK_MB:
        raise CannotRecord(f"{free_megabytes} MB free, {settings.MIN_FREE_DISK_MB} required")
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(b"ready?")
        os.fsync(file.fileno())


def try_disk_quota() -> None:
    """Checks that a new call would be accepted: see `streams.ingest.disk_quota`."""
    folder = Path(settings.SPOOL_DIR)
    folder.mkdir(0o700, parents=True, exist_ok=True)
    quota = DiskQuota.from_settings()
    used_bytes = backlog_of(folder, time.time()).size_bytes if quota.limit_bytes else 0
    if reason := quota.refusal_reason(folder, used_bytes):
        raise CannotRecord(reason)


def try_database() -> None:
    """Queries the database over this thread's own connection."""
    connection = connections["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


async def try_layer() -> None:
    """Sends to an empty group: Redis acknowledges the message, no dashboard receives it."""
    layer = get_channel_layer()
    assert layer is not None, "settings.CHANNEL_LAYERS has a default layer"
    await layer.group_send("readyz", {"type": "readyz"})


class Readiness:
    """The view of /readyz. `required` names the probes that recording depends on."""

    def __init__(self, probes: Mapping[str, Probe], *, required: frozenset[str]) -> None:
        self._probes = probes
        self._required = required

    async def answer(self, request: HttpRequest) -> JsonResponse:
        """Returns 200 or 503 with every result; 400 for an unknown name in `require`."""
        named = {name for name in request.GET.get("require", "").split(",") if name}
        if not named <= self._probes.keys():
            error = f"unknown name; choose from {', '.join(self._probes)}"
            return JsonResponse({"require": error}, status=400)
        checked = await asyncio.gather(*(probe.check() for probe in self._probes.values()))
        results = dict(zip(self._probes, checked, strict=True))
        ready = all(results[name].ok for name in self._required | named)
        body = {
            "ready": ready,
            "degraded": not all(result.ok for result in checked),
            "checks": {name: result.as_json() for name, result in results.items()},
        }
        return JsonResponse(body, status=200 if ready else 503)


async def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"alive": True})


def readiness_of(role: str) -> Readiness:
    """Returns the probes of a process with this `ROLE`."""
    pages = {"database": Probe(ThreadedTrial(try_database)), "layer": Probe(try_layer)}
    if role == "web":  # without Redis its pages only lack live calls
        return Readiness(pages, required=frozenset({"database"}))
    recording = {
        "journal": Probe(ThreadedTrial(try_journal)),
        "room": Probe(ThreadedTrial(try_disk_quota)),
    }
    return Readiness({**recording, **pages}, required=frozenset(recording))


_readiness = readiness_of(settings.ROLE)
healthz = never_cache(require_safe(alive))
readyz = never_cache(require_safe(_readiness.answer))


@sync_and_async_middleware
def probes_first(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answers `PATHS` before the other middleware, which would refuse a probe.

    Load balancers connect by IP address, so their Host is not in ALLOWED_HOSTS. These answers use
    neither host nor session.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            view = _probe_view(request)
            response: HttpResponseBase = await (view or get_response)(request)
            return response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        view = _probe_view(request)
        response: HttpResponseBase = async_to_sync(view)(request) if view else get_response(request)
        return response

    return answer


def _probe_view(
    request: HttpRequest,
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]] | None:
    return resolve(request.path_info).func if request.path_info in PATHS else None
