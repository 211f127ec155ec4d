"""Liveness and readiness: the answers that load balancers use."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, SimpleTestCase, TransactionTestCase, override_settings

from acsmedia.monitoring import health
from acsmedia.monitoring.health import Probe, Readiness, ThreadedTrial, probes_first
from acsmedia.monitoring.trials import Unavailable


async def well() -> None:
    """A trial that succeeds."""


def fails_with(error: Exception) -> Callable[[], Awaitable[None]]:
    async def trial() -> None:
        raise error

    return trial


async def hangs() -> None:
    await asyncio.Event().wait()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class AddressTests(TransactionTestCase):
    """Requests to the whole application, with its middleware."""

    async def test_healthz_answers_any_host_without_tls_and_without_login(self) -> None:
        with override_settings(ALLOWED_HOSTS=["media.example.com"], SECURE_SSL_REDIRECT=True):
            response = await self.async_client.get("/healthz", headers={"host": "10.0.0.7:8000"})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json(), {"alive": True})
        self.assertIn("no-cache", response["Cache-Control"])

    async def test_readyz_tries_everything_by_name(self) -> None:
        with override_settings(ALLOWED_HOSTS=["media.example.com"], MIN_FREE_DISK_MB=0):
            response = await self.async_client.get("/readyz", headers={"host": "10.0.0.7:8000"})
        self.assertEqual(response.status_code, 200, response.content)
        shown = response.json()
        recording, pages = ["journal", "room", "keys"], ["database", "migrations", "store", "layer"]
        pages.append("processes")
        self.assertEqual(list(shown["checks"]), [*recording, *pages])
        self.assertTrue(all(check["ok"] for check in shown["checks"].values()), shown)
        self.assertEqual((shown["ready"], shown["degraded"]), (True, False))

    def test_both_also_answer_under_wsgi(self) -> None:
        for path in ("/healthz", "/readyz"):
            with override_settings(MIN_FREE_DISK_MB=0):
                self.assertEqual(self.client.get(path).status_code, 200)

    def test_only_reading_is_allowed(self) -> None:
        self.assertEqual(self.client.post("/healthz").status_code, 405)
        self.assertEqual(self.client.head("/readyz").status_code, 200)

    def test_other_addresses_go_through_the_other_middleware(self) -> None:
        with override_settings(ALLOWED_HOSTS=["media.example.com"]):
            self.assertEqual(self.client.get("/healthz/").status_code, 400)


class ReadinessTests(SimpleTestCase):
    """The status, from fake probes."""

    async def answer(
        self, query: str = "", **trials: Callable[[], Awaitable[None]]
    ) -> tuple[int, dict[str, Any]]:
        named = {"journal": well, "database": well, "layer": well, **trials}
        probes = {name: Probe(trial, seconds=0.01) for name, trial in named.items()}
        readiness = Readiness(probes, required=frozenset({"journal"}))
        response = await readiness.answer(AsyncRequestFactory().get(f"/readyz{query}"))
        return response.status_code, json.loads(response.content)

    async def test_without_the_journal_folder_nothing_is_recorded(self) -> None:
        status, shown = await self.answer(journal=fails_with(OSError("/data/spool is read-only")))
        self.assertEqual(status, 503)
        self.assertEqual(shown["checks"]["journal"]["why"], "OSError")
        self.assertFalse(shown["ready"])

    async def test_a_missing_bucket_is_named_with_what_it_does_to_the_next_call(self) -> None:
        status, shown = await self.answer(store=fails_with(Unavailable("NoSuchBucket")))
        self.assertEqual((status, shown["degraded"]), (200, True))
        failure = shown["checks"]["store"]
        self.assertEqual(failure["why"], "NoSuchBucket")
        self.assertEqual(failure["effect"], health.EFFECTS["store"])

    async def test_recording_continues_without_a_database(self) -> None:
        status, shown = await self.answer(
            database=fails_with(OperationalError("host db.internal is down"))
        )
        self.assertEqual(status, 200)
        self.assertEqual((shown["ready"], shown["degraded"]), (True, True))
        self.assertFalse(shown["checks"]["database"]["ok"])

    async def test_a_page_server_may_require_the_database(self) -> None:
        down = fails_with(OperationalError())
        self.assertEqual((await self.answer("?require=database,layer", database=down))[0], 503)
        self.assertEqual((await self.answer("?require=layer", database=down))[0], 200)

    async def test_an_unknown_requirement_is_an_error(self) -> None:
        status, shown = await self.answer("?require=databse")
        self.assertEqual((status, list(shown)), (400, ["require"]))

    async def test_the_answer_contains_no_hosts_and_no_messages(self) -> None:
        _, shown = await self.answer(
            database=fails_with(OperationalError("password of db.internal is hunter2"))
        )
        self.assertNotIn("hunter2", str(shown))
        self.assertNotIn("db.internal", str(shown))

    async def test_a_hanging_probe_is_a_timeout_and_does_not_delay_others(self) -> None:
        status, shown = await self.answer(database=hangs)
        self.assertEqual(status, 200)
        self.assertEqual(shown["checks"]["database"]["why"], "timeout")
        self.assertTrue(shown["checks"]["journal"]["ok"])

    async def test_the_duration_of_a_probe_is_reported(self) -> None:
        _, shown = await self.answer(database=hangs)
        self.assertGreaterEqual(shown["checks"]["database"]["ms"], 9)


class RoleTests(SimpleTestCase):
    def test_each_role_tries_what_it_needs(self) -> None:
        recording = {"journal", "room", "keys"}
        serving = {"database", "migrations", "store", "layer", "processes"}
        for role in ("all", "ingest"):
            readiness = health.readiness_of(role)
            self.assertEqual({*readiness._probes}, recording | serving)
            self.assertEqual(readiness._required, recording)
        pages = health.readiness_of("web")
        self.assertEqual({*pages._probes}, serving)
        self.assertEqual(pages._required, {"database", "migrations"})

    def test_each_failure_says_what_it_does_to_the_next_call(self) -> None:
        for role in ("all", "ingest", "web"):
            readiness = health.readiness_of(role)
            self.assertEqual({*readiness._probes}, {*readiness._effects})

    def test_a_process_without_a_recorder_promises_nothing_about_recording(self) -> None:
        for effect in health.readiness_of("web")._effects.values():
            self.assertNotRegex(effect, "recorded|sealed|refused")


class ProbeTests(SimpleTestCase):
    async def test_a_result_is_reused_for_a_second(self) -> None:
        clock, tried = Clock(), []

        async def trial() -> None:
            tried.append(clock.now)

        probe = Probe(trial, clock=clock)
        for now in (0.0, 0.5, health.KEEP_SECONDS, health.KEEP_SECONDS * 1.5):
            clock.now = now
            await probe.check()
        self.assertEqual(tried, [0.0, health.KEEP_SECONDS])

    async def test_a_success_may_be_reused_for_longer_and_a_failure_is_not(self) -> None:
        clock, tried = Clock(), []
        answers = iter([OSError(), None, None])

        async def trial() -> None:
            tried.append(clock.now)
            if error := next(answers):
                raise error

        probe = Probe(trial, keep_seconds=20, clock=clock)
        for now in (0.0, 1.0, 2.0, 20.0, 21.0):
            clock.now = now
            await probe.check()
        self.assertEqual(tried, [0.0, 1.0, 21.0])

    async def test_an_exception_in_the_thread_is_the_result(self) -> None:
        def trial() -> None:
            raise OperationalError

        self.assertEqual((await Probe(ThreadedTrial(trial)).check()).why, "OperationalError")

    async def test_a_hanging_trial_does_not_block_the_event_loop_or_start_twice(
        self,
    ) -> None:
        started, gate, clock = [], Event(), Clock()
        self.addCleanup(gate.set)

        def trial() -> None:
            started.append(clock.now)
            gate.wait(10)

        in_thread = ThreadedTrial(trial, clock=clock)
        for _ in range(3):
            result = await asyncio.wait_for(Probe(in_thread, seconds=0.01).check(), 5)
            self.assertEqual(result.why, "timeout")
        self.assertEqual(started, [0.0])

    async def test_a_trial_that_hangs_too_long_is_abandoned_for_a_new_one(self) -> None:
        gates, clock = [Event(), Event()], Clock()
        started: list[Event] = []
        gates[1].set()

        def trial() -> None:
            started.append(gates[len(started)])
            started[-1].wait(10)

        self.addCleanup(gates[0].set)
        in_thread = ThreadedTrial(trial, clock=clock)
        self.assertEqual((await Probe(in_thread, seconds=0.01).check()).why, "timeout")
        clock.now = health.GIVE_UP_SECONDS + 1
        self.assertTrue((await Probe(in_thread, seconds=5).check()).ok)

    async def test_a_result_has_the_real_duration(self) -> None:
        started = time.monotonic()
        result = await Probe(hangs, seconds=0.02).check()
        self.assertLessEqual(result.milliseconds / 1000, time.monotonic() - started)


class MiddlewareTests(SimpleTestCase):
    async def test_only_the_three_paths_are_answered_first(self) -> None:
        passed: list[str] = []

        async def rest(request: HttpRequest) -> HttpResponse:
            passed.append(request.path)
            return HttpResponse()

        middleware: Any = probes_first(rest)
        for path in ("/healthz", "/healthz/x", "/admin/", "/Healthz"):
            await middleware(AsyncRequestFactory().get(path))
        self.assertEqual(passed, ["/healthz/x", "/admin/", "/Healthz"])
