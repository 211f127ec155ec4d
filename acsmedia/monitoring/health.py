"""What machines ask: is the process alive, and can it record now.

`/healthz` answers 200 as long as the event loop turns; it touches nothing else. `/readyz` tries
what the product stands on, each by name. Recording needs the journal folder, room in it, and
nothing else: without database or layer calls are still recorded and are caught up later, so those
are reported as degraded and the status stays 200. Who serves pages only asks
`/readyz?require=database,layer` and gets 503 when one of these is away.

Answers hold names, times and the kind of an error, no addresses and no messages: anyone may read
them.
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
"""How long one probe may take; all run at once, so the whole answer takes no longer."""

KEEP_SECONDS = 1.0
"""How long an answer stands, so that asking often costs the disk and the database nothing."""

GIVE_UP_SECONDS = 30.0
"""When a hanging trial is no longer waited for and another one is begun."""

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found; `why` is empty when it went well, `milliseconds` how long it took."""

    why: str
    milliseconds: float

    @property
    def ok(self) -> bool:
        return not self.why

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"ok": self.ok, "ms": round(self.milliseconds, 1)}
        return shown if self.ok else {**shown, "why": self.why}


class CannotRecord(Exception):
    """What a probe itself found wrong; its message is shown to anyone."""


class ThreadedTrial:
    """A blocking trial, awaited. While it hangs no second one is started, so an outage costs no
    pile of threads.
    """

    def __init__(
        self, trial: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trial = trial
        self._clock = clock
        self._running: Future[Exception | None] | None = None
        self._begun_at = 0.0

    async def __call__(self) -> None:
        """Raises what the trial raises."""
        if (
            self._running is None
            or self._running.done()
            or self._clock() - self._begun_at > GIVE_UP_SECONDS
        ):
            self._begun_at = self._clock()
            self._running = in_daemon_thread(self._outcome, name="readyz")
        waiter = asyncio.wrap_future(self._running)
        await asyncio.wait({waiter})  # a timeout of ours leaves the thread alone
        if (failure := waiter.result()) is not None:
            raise failure

    def _outcome(self) -> Exception | None:
        try:
            self._trial()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits, if anyone still does
            return error
        return None


class Probe:
    """One trial with a time limit, whose finding stands for `KEEP_SECONDS`."""

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

    async def ask(self) -> ProbeResult:
        """Never raises: every failure is a finding, by its kind only, because its text may name
        hosts.
        """
        if self._last is not None and self._clock() - self._last_at < KEEP_SECONDS:
            return self._last
        begun_at = self._clock()
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
        self._last = ProbeResult(why, (self._last_at - begun_at) * 1000)
        return self._last


def try_journal() -> None:
    """Writes and syncs a nameless file where journals are written, and looks at the room that is
    left.
    """
    folder = Path(settings.SPOOL_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    free_megabytes = shutil.disk_usage(folder).free // 1_000_000
    if free_megabytes < settings.MIN_FREE_DISK_MB:
        raise CannotRecord(f"{free_megabytes} MB free, {settings.MIN_FREE_DISK_MB} wanted")
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(b"ready?")
        os.fsync(file.fileno())


def try_disk_quota() -> None:
    """Whether another call would be let in: see `streams.ingest.disk_quota`."""
    folder = Path(settings.SPOOL_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    room = DiskQuota.from_settings()
    taken = backlog_of(folder, time.time()).size_bytes if room.limit_bytes else 0
    if lacking := room.refusal_reason(folder, taken):
        raise CannotRecord(lacking)


def try_database() -> None:
    """One question to the database over a connection of this thread's own."""
    connection = connections["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


async def try_layer() -> None:
    """Sends to a group that nobody is in: Redis acknowledges it, no dashboard sees it."""
    layer = get_channel_layer()
    assert layer is not None, "settings.CHANNEL_LAYERS has a default layer"
    await layer.group_send("readyz", {"type": "readyz"})


class Readiness:
    """The answer of /readyz, from probes by name; `needed` are those without which nothing is
    recorded.
    """

    def __init__(self, probes: Mapping[str, Probe], *, needed: frozenset[str]) -> None:
        self._probes = probes
        self._needed = needed

    async def answer(self, request: HttpRequest) -> JsonResponse:
        """200 or 503 with every finding; 400 for a name in `require` that is no probe."""
        wanted = {name for name in request.GET.get("require", "").split(",") if name}
        if not wanted <= self._probes.keys():
            return JsonResponse({"require": f"names out of {', '.join(self._probes)}"}, status=400)
        asked = await asyncio.gather(*(probe.ask() for probe in self._probes.values()))
        findings = dict(zip(self._probes, asked, strict=True))
        ready = all(findings[name].ok for name in self._needed | wanted)
        shown = {
            "ready": ready,
            "degraded": not all(finding.ok for finding in asked),
            "checks": {name: finding.as_json() for name, finding in findings.items()},
        }
        return JsonResponse(shown, status=200 if ready else 503)


async def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"alive": True})


_readiness = Readiness(
    {
        "journal": Probe(ThreadedTrial(try_journal)),
        "room": Probe(ThreadedTrial(try_disk_quota)),
        "database": Probe(ThreadedTrial(try_database)),
        "layer": Probe(try_layer),
    },
    needed=frozenset({"journal", "room"}),
)
healthz = never_cache(require_safe(alive))
readyz = never_cache(require_safe(_readiness.answer))


@sync_and_async_middleware
def probes_first(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answers `PATHS` before the other middleware, which would refuse a probe.

    Load balancers ask by address, so the Host is none of ALLOWED_HOSTS; these answers use neither
    host nor session.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            view = _view_for_machines(request)
            response: HttpResponseBase = await (view or get_response)(request)
            return response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        view = _view_for_machines(request)
        response: HttpResponseBase = async_to_sync(view)(request) if view else get_response(request)
        return response

    return answer


def _view_for_machines(
    request: HttpRequest,
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]] | None:
    return resolve(request.path_info).func if request.path_info in PATHS else None
