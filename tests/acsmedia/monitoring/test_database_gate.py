"""Requests never hang while the database is unreachable: new ones are refused, pending ones
answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from threading import Event
from unittest.mock import patch

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, SimpleTestCase, override_settings
from django.urls import path

from acsmedia.monitoring import database_gate as gate
from acsmedia.monitoring import database_watch
from acsmedia.monitoring.database_gate import DatabaseGate
from streams.acs.webhooks.counts import EventCounts

released = Event()


def hanging(request: HttpRequest) -> HttpResponse:
    """A view whose query hangs."""
    released.wait(30)
    return HttpResponse("too late")


def failing(request: HttpRequest) -> HttpResponse:
    raise OperationalError("the connection to db.internal is lost")


urlpatterns = [
    path("hanging", hanging),
    path("failing", failing),
    path("", hanging, name="dashboard"),
]


class DatabaseGateTests(SimpleTestCase):
    """The middleware in front of a fake view."""

    def setUp(self) -> None:
        self.enterContext(patch.object(gate, "REFRESH_SECONDS", 0.01))
        self.passed: list[str] = []
        self.started, self.ended = asyncio.Event(), asyncio.Event()

    async def view(self, request: HttpRequest) -> HttpResponse:
        self.passed.append(request.path)
        if request.path == "/hangs":
            self.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()
        return HttpResponse("well")

    async def get(self, path: str, *outages: str) -> HttpResponse:
        """`outages` are the results of consecutive checks of the database; the last is repeated."""
        known = consecutive(*outages)
        gate_ = DatabaseGate(self.view, lambda: next(known))
        response = await gate_(AsyncRequestFactory().get(path))
        assert isinstance(response, HttpResponse)
        return response

    async def test_passes_requests_while_the_database_answers(self) -> None:
        response = await self.get("/api/v1/calls/", "")
        self.assertEqual((response.status_code, response.content), (200, b"well"))

    async def test_refuses_rest_requests_with_json(self) -> None:
        response = await self.get("/api/v1/calls/", "timeout")
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        self.assertEqual(
            json.loads(response.content), {"detail": "The database is unreachable. Try again."}
        )
        self.assertEqual(self.passed, [])

    async def test_refuses_webhooks_with_json_and_counts_them(self) -> None:
        counts = EventCounts()
        with patch.object(gate, "counts", counts):
            response = await self.get("/webhooks/acs/callbacks", "timeout")
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        self.assertEqual(response["Content-Type"], "application/json")
        self.assertEqual(counts.refused["database_unreachable"], 1)

    async def test_refuses_browsers_with_a_page_that_says_that_recording_continues(self) -> None:
        response = await self.get("/", "timeout")
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        page = response.content.decode()
        for words in (
            "Database unavailable",
            "Calls are still being recorded",
            'http-equiv="refresh" content="5"',
        ):
            self.assertIn(words, page)
        self.assertEqual(self.passed, [])

    async def test_adds_the_security_headers_to_its_responses(self) -> None:
        response = await self.get("/", "timeout")
        self.assertIn("default-src 'none'", response["Content-Security-Policy"])
        self.assertEqual(
            (response["X-Frame-Options"], response["X-Content-Type-Options"]), ("DENY", "nosniff")
        )

    async def test_passes_static_files_which_the_page_needs(self) -> None:
        self.assertEqual(
            (await self.get(f"{settings.STATIC_URL}calls/css/base.css", "timeout")).content, b"well"
        )

    async def test_answers_requests_that_were_pending_when_the_outage_was_detected(self) -> None:
        response = await self.get("/hangs", "", "", "timeout")
        self.assertEqual((response.status_code, self.passed), (503, ["/hangs"]))
        await asyncio.wait_for(self.ended.wait(), 5)

    async def test_cancels_the_view_of_a_client_that_disconnects(self) -> None:
        request = asyncio.create_task(self.get("/hangs", ""))
        await asyncio.wait_for(self.started.wait(), 5)
        request.cancel()
        await asyncio.wait_for(self.ended.wait(), 5)

    async def test_passes_on_exceptions_of_a_view(self) -> None:
        async def broken(request: HttpRequest) -> HttpResponse:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await DatabaseGate(broken, str)(AsyncRequestFactory().get("/"))

    async def test_passes_everything_on_sqlite(self) -> None:
        with (
            patch.object(database_watch.postgres, "outage", return_value="timeout"),
            patch.object(gate, "connection", vendor="sqlite"),
        ):
            response = await DatabaseGate(self.view)(AsyncRequestFactory().get("/"))
        self.assertEqual(response.status_code, 200)

    def test_handles_only_database_errors(self) -> None:
        request = AsyncRequestFactory().get("/api/v1/calls/")
        middleware = DatabaseGate(self.view, str)
        for error in (OperationalError(), InterfaceError()):
            response = middleware.process_exception(request, error)
            assert response is not None
            self.assertEqual(response.status_code, 503)
        self.assertIsNone(middleware.process_exception(request, ValueError()))


@override_settings(ROOT_URLCONF="tests.acsmedia.monitoring.test_database_gate")
class DatabaseGateInTheApplicationTests(SimpleTestCase):
    def setUp(self) -> None:
        released.clear()
        self.enterContext(patch.object(gate, "REFRESH_SECONDS", 0.01))

    async def get(self, path: str, *outages: str) -> HttpResponse:
        known = consecutive(*outages)
        with (
            patch.object(database_watch.postgres, "outage", lambda: next(known)),
            patch.object(gate, "connection", vendor="postgresql"),
        ):
            response = await self.async_client.get(path)
        assert isinstance(response, HttpResponse)
        return response

    async def test_a_response_does_not_wait_for_the_hanging_thread(self) -> None:
        """Most other middleware runs in that thread, so this one must come before it."""
        try:
            response = await asyncio.wait_for(self.get("/hanging", "", "", "timeout"), 10)
        finally:
            released.set()
        self.assertEqual(response.status_code, 503)

    async def test_a_view_that_loses_its_connection_is_answered(self) -> None:
        response = await self.get("/failing", "")
        self.assertEqual(response.status_code, 503)
        self.assertNotIn("db.internal", response.content.decode())


def consecutive(*values: str) -> Iterator[str]:
    """Yields each value, then the last one forever."""
    yield from values[:-1]
    while True:
        yield values[-1]
