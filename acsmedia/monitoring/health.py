"""Liveness and readiness probes.

`/healthz` answers 200 as long as the event loop runs; it touches nothing else. `/readyz` tries each
dependency (`trials.py`), reports it by name, and says what a failure does to the next call. A call
is accepted if there are keys to verify its token with, the journal folder, and free space in it.
Without the audio store, the database or the channel layer calls are still recorded and caught up
later, so these failures are reported as degraded and the status stays 200. A process of ROLE=web
needs the database with its tables, and has no journals. `/readyz?require=database,store` answers
503 also if one of these is unreachable.

Answers contain names, times and the type of an error, no addresses and no messages: they are
public.

The database has a probe here and a watch in `database_watch`, because they answer different
questions: a probe waits for a fresh result and reports its duration, on any database; the watch
never waits and reports no outage before it has found one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import resolve
from django.utils.decorators import sync_and_async_middleware
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from acsmedia.monitoring import trials
from acsmedia.monitoring.trials import Unavailable
from streams.daemon_thread import in_daemon_thread

PROBE_SECONDS = 2.0
"""Time limit of one probe. All run concurrently, so the whole answer takes no longer."""
KEYS_SECONDS = 3.0
"""The same for the keys of ACS, which may have to be fetched."""

KEEP_SECONDS = 1.0
"""How long a result is reused, so that frequent requests cost the disk and database nothing."""
KEEP_STORE_SECONDS = 20.0
"""The same for a success of the audio store, where requests cost money."""
KEEP_MIGRATIONS_SECONDS = 3600.0
"""The same for migrations: the tables stay, and the trial takes some 30 ms of the interpreter."""

EFFECTS = {
    "journal": "calls are refused, or will be soon",
    "room": "calls are refused",
    "keys": "calls are refused",
    "store": "calls are recorded, and not sealed before it answers",
    "database": "calls are recorded, and not sealed before it answers; there are no pages",
    "migrations": "calls are recorded, and not sealed before `manage.py migrate`; pages fail",
    "layer": "calls are recorded; dashboards of other processes do not show them live",
    "processes": "calls are recorded; each process shows only its own calls live",
}
"""Effect of a failure on the next call, by check, in a process that records."""

EFFECTS_ON_PAGES = {
    "database": "there are no pages",
    "migrations": "pages fail before `manage.py migrate`",
    "store": "recordings cannot be played or downloaded",
    "layer": "dashboards show calls only once they are rows, without levels",
    "processes": "dashboards show no levels of other processes",
}
"""The same in a process of `ROLE=web`, which records nothing."""

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
    """One trial with a time limit. A success is reused for `keep_seconds`, a failure for
    `KEEP_SECONDS`.
    """

    def __init__(
        self,
        trial: Callable[[], Awaitable[None]],
        *,
        seconds: float = PROBE_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trial = trial
        self._seconds = seconds
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._last: ProbeResult | None = None
        self._last_at = 0.0

    async def check(self) -> ProbeResult:
        """Never raises. A failure is reported by its type only: its text may name hosts."""
        if self._last is not None:
            keep_seconds = self._keep_seconds if self._last.ok else KEEP_SECONDS
            if self._clock() - self._last_at < keep_seconds:
                return self._last
        started_at = self._clock()
        try:
            async with asyncio.timeout(self._seconds):
                await self._trial()
        except TimeoutError:
            why = "timeout"
        except Unavailable as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - see above
            why = type(error).__name__
        else:
            why = ""
        self._last_at = self._clock()
        self._last = ProbeResult(why, (self._last_at - started_at) * 1000)
        return self._last


class Readiness:
    """The view of /readyz. `required` names the probes that the process depends on, and `effects`
    says by name what a failure does.
    """

    def __init__(
        self,
        probes: Mapping[str, Probe],
        *,
        required: frozenset[str],
        effects: Mapping[str, str] = EFFECTS,
    ) -> None:
        self._probes = probes
        self._required = required
        self._effects = effects

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
            "checks": {name: self._as_json(name, result) for name, result in results.items()},
        }
        return JsonResponse(body, status=200 if ready else 503)

    def _as_json(self, name: str, result: ProbeResult) -> dict[str, Any]:
        shown = result.as_json()
        has_effect = not result.ok and name in self._effects
        return {**shown, "effect": self._effects[name]} if has_effect else shown


async def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"alive": True})


def readiness_of(role: str) -> Readiness:
    """Returns the probes of a process with this `ROLE`."""
    pages = {
        "database": Probe(ThreadedTrial(trials.try_database)),
        "migrations": Probe(
            ThreadedTrial(trials.try_migrations), keep_seconds=KEEP_MIGRATIONS_SECONDS
        ),
        "store": Probe(ThreadedTrial(trials.try_store), keep_seconds=KEEP_STORE_SECONDS),
        "layer": Probe(trials.try_layer),
        "processes": Probe(ThreadedTrial(trials.try_processes)),
    }
    if role == "web":  # without Redis its pages only lack live calls
        required = frozenset({"database", "migrations"})
        return Readiness(pages, required=required, effects=EFFECTS_ON_PAGES)
    recording = {
        "journal": Probe(ThreadedTrial(trials.try_journal)),
        "room": Probe(ThreadedTrial(trials.try_disk_quota)),
        "keys": Probe(trials.keys, seconds=KEYS_SECONDS),
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
