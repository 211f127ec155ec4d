"""Alive, and able to record: the answers that load balancers act on."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, SimpleTestCase, TransactionTestCase, override_settings

from acsmedia.monitoring import health
from acsmedia.monitoring.health import CannotRecord, Probe, Readiness, ThreadedTrial, probes_first


async def well() -> None:
    """A trial that goes well."""


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
    """Over the whole application, with its middleware."""

    async def test_healthz_answers_any_host_without_tls_and_without_login(self) -> None:
        with override_settings(ALLOWED_HOSTS=["media.example.com"], SECURE_SSL_REDIRECT=True):
            response = await self.async_client.get("/healthz", headers={"host": "10.0.0.7:8000"})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json(), {"alive": True})
        self.assertIn("no-cache", response["Cache-Control"])

    async def test_readyz_tries_journal_database_and_layer_by_name(self) -> None:
        with override_settings(ALLOWED_HOSTS=["media.example.com"], MIN_FREE_DISK_MB=0):
            response = await self.async_client.get("/readyz", headers={"host": "10.0.0.7:8000"})
        self.assertEqual(response.status_code, 200, response.content)
        shown = response.json()
        self.assertEqual(list(shown["checks"]), ["journal", "room", "database", "layer"])
        self.assertTrue(all(check["ok"] for check in shown["checks"].values()), shown)
        self.assertEqual((shown["ready"], shown["degraded"]), (True, False))

    def test_both_answer_under_wsgi_too(self) -> None:
        for path in ("/healthz", "/readyz"):
            with override_settings(MIN_FREE_DISK_MB=0):
                self.assertEqual(self.client.get(path).status_code, 200)

    def test_only_reading_is_allowed(self) -> None:
        self.assertEqual(self.client.post("/healthz").status_code, 405)
        self.assertEqual(self.client.head("/readyz").status_code, 200)

    def test_other_addresses_go_through_the_other_middleware(self) -> None:
        with override_settings(ALLOWED_HOSTS=["media.example.com"]):
            self.assertEqual(self.client.get("/healthz/").status_code, 400)


class DatabaseTests(TransactionTestCase):
    def test_the_database_that_answers_is_well(self) -> None:
        health.try_database()

    async def test_the_layer_that_answers_is_well(self) -> None:
        await health.try_layer()


class JournalTests(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "data" / "spool"

    def test_the_folder_is_made_and_left_empty(self) -> None:
        with override_settings(SPOOL_DIR=self.folder, MIN_FREE_DISK_MB=0):
            health.try_journal()
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_disk_that_is_nearly_full_cannot_record(self) -> None:
        with (
            override_settings(SPOOL_DIR=self.folder, MIN_FREE_DISK_MB=10**9),
            self.assertRaisesRegex(CannotRecord, r"^\d+ MB free, 1000000000 required$"),
        ):
            health.try_journal()

    def test_room_is_as_much_as_the_settings_say(self) -> None:
        limits = {"SPOOL_DIR": self.folder, "SPOOL_LIMIT_GB": 0.001, "MIN_FREE_DISK_MB": 0}
        with override_settings(**limits):
            health.try_disk_quota()
            journal = self.folder / "process" / "stream.000000.journal"
            journal.parent.mkdir()
            journal.write_bytes(bytes(1_000_000))
            with self.assertRaisesRegex(CannotRecord, "^journals take 1 MB, 1 allowed$"):
                health.try_disk_quota()
        with override_settings(SPOOL_DIR=self.folder, SPOOL_LIMIT_GB=0.0, MIN_FREE_DISK_MB=0):
            health.try_disk_quota()

    def test_a_folder_that_cannot_be_written_cannot_record(self) -> None:
        self.folder.parent.mkdir()
        self.folder.touch()
        with (
            override_settings(SPOOL_DIR=self.folder, MIN_FREE_DISK_MB=0),
            self.assertRaises(OSError),
        ):
            health.try_journal()


class ReadinessTests(SimpleTestCase):
    """The verdict, from probes of the test's own."""

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

    async def test_recording_goes_on_without_a_database(self) -> None:
        status, shown = await self.answer(
            database=fails_with(OperationalError("host db.internal is away"))
        )
        self.assertEqual(status, 200)
        self.assertEqual((shown["ready"], shown["degraded"]), (True, True))
        self.assertFalse(shown["checks"]["database"]["ok"])

    async def test_a_page_server_may_require_the_database(self) -> None:
        away = fails_with(OperationalError())
        self.assertEqual((await self.answer("?require=database,layer", database=away))[0], 503)
        self.assertEqual((await self.answer("?require=layer", database=away))[0], 200)

    async def test_a_requirement_that_is_no_probe_is_named(self) -> None:
        status, shown = await self.answer("?require=databse")
        self.assertEqual((status, list(shown)), (400, ["require"]))

    async def test_the_answer_tells_no_hosts_and_no_messages(self) -> None:
        _, shown = await self.answer(
            database=fails_with(OperationalError("password of db.internal is hunter2"))
        )
        self.assertNotIn("hunter2", str(shown))
        self.assertNotIn("db.internal", str(shown))

    async def test_what_hangs_is_a_timeout_and_holds_up_nothing_else(self) -> None:
        status, shown = await self.answer(database=hangs)
        self.assertEqual(status, 200)
        self.assertEqual(shown["checks"]["database"]["why"], "timeout")
        self.assertTrue(shown["checks"]["journal"]["ok"])

    async def test_how_long_a_probe_took_is_told(self) -> None:
        _, shown = await self.answer(database=hangs)
        self.assertGreaterEqual(shown["checks"]["database"]["ms"], 9)


class ProbeTests(SimpleTestCase):
    async def test_a_finding_stands_for_a_second(self) -> None:
        clock, tried = Clock(), []

        async def trial() -> None:
            tried.append(clock.now)

        probe = Probe(trial, clock=clock)
        for now in (0.0, 0.5, health.KEEP_SECONDS, health.KEEP_SECONDS * 1.5):
            clock.now = now
            await probe.check()
        self.assertEqual(tried, [0.0, health.KEEP_SECONDS])

    async def test_what_a_thread_raises_is_the_finding(self) -> None:
        def trial() -> None:
            raise OperationalError

        self.assertEqual((await Probe(ThreadedTrial(trial)).check()).why, "OperationalError")

    async def test_a_blocking_trial_leaves_the_event_loop_free_and_is_not_begun_twice(self) -> None:
        begun, gate, clock = [], Event(), Clock()
        self.addCleanup(gate.set)

        def trial() -> None:
            begun.append(clock.now)
            gate.wait(10)

        in_thread = ThreadedTrial(trial, clock=clock)
        for _ in range(3):
            finding = await asyncio.wait_for(Probe(in_thread, seconds=0.01).check(), 5)
            self.assertEqual(finding.why, "timeout")
        self.assertEqual(begun, [0.0])

    async def test_a_trial_that_hangs_for_long_is_given_up_for_a_new_one(self) -> None:
        gates, clock = [Event(), Event()], Clock()
        begun: list[Event] = []
        gates[1].set()

        def trial() -> None:
            begun.append(gates[len(begun)])
            begun[-1].wait(10)

        self.addCleanup(gates[0].set)
        in_thread = ThreadedTrial(trial, clock=clock)
        self.assertEqual((await Probe(in_thread, seconds=0.01).check()).why, "timeout")
        clock.now = health.GIVE_UP_SECONDS + 1
        self.assertTrue((await Probe(in_thread, seconds=5).check()).ok)

    async def test_a_finding_measures_the_real_time(self) -> None:
        begun = time.monotonic()
        finding = await Probe(hangs, seconds=0.02).check()
        self.assertLessEqual(finding.milliseconds / 1000, time.monotonic() - begun)


class MiddlewareTests(SimpleTestCase):
    async def test_only_the_three_addresses_are_answered_first(self) -> None:
        passed: list[str] = []

        async def rest(request: HttpRequest) -> HttpResponse:
            passed.append(request.path)
            return HttpResponse()

        middleware: Any = probes_first(rest)
        for path in ("/healthz", "/healthz/x", "/admin/", "/Healthz"):
            await middleware(AsyncRequestFactory().get(path))
        self.assertEqual(passed, ["/healthz/x", "/admin/", "/Healthz"])
