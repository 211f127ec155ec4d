"""While the database is away nothing hangs: requests are turned back, and those under way are
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

released = Event()


def hanging(request: HttpRequest) -> HttpResponse:
    """A view whose query is never answered."""
    released.wait(30)
    return HttpResponse("too late")


def failing(request: HttpRequest) -> HttpResponse:
    raise OperationalError("the connection to db.internal is lost")


urlpatterns = [
    path("hanging", hanging),
    path("failing", failing),
    path("", hanging, name="dashboard"),
]


class TheGate(SimpleTestCase):
    """Before a view of the test's own."""

    def setUp(self) -> None:
        self.enterContext(patch.object(gate, "REFRESH_SECONDS", 0.01))
        self.let_in: list[str] = []
        self.came, self.left = asyncio.Event(), asyncio.Event()

    async def view(self, request: HttpRequest) -> HttpResponse:
        self.let_in.append(request.path)
        if request.path == "/hangs":
            self.came.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        return HttpResponse("well")

    async def ask(self, address: str, *away: str) -> HttpResponse:
        """`away` is what is known of the database at each look; the last one stays."""
        known = says(*away)
        response = await DatabaseGate(self.view, lambda: next(known))(
            AsyncRequestFactory().get(address)
        )
        assert isinstance(response, HttpResponse)
        return response

    async def test_is_open_while_the_database_answers(self) -> None:
        response = await self.ask("/api/v1/calls/", "")
        self.assertEqual((response.status_code, response.content), (200, b"well"))

    async def test_turns_rest_back_with_json(self) -> None:
        response = await self.ask("/api/v1/calls/", "timeout")
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        self.assertEqual(
            json.loads(response.content), {"detail": "The database is unreachable. Try again."}
        )
        self.assertEqual(self.let_in, [])

    async def test_turns_people_back_with_a_page_that_says_that_recording_goes_on(self) -> None:
        response = await self.ask("/", "timeout")
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        page = response.content.decode()
        for words in (
            "Database unavailable",
            "Calls are still being recorded",
            'http-equiv="refresh" content="5"',
        ):
            self.assertIn(words, page)
        self.assertEqual(self.let_in, [])

    async def test_gives_its_answers_the_headers_that_all_have(self) -> None:
        response = await self.ask("/", "timeout")
        self.assertIn("default-src 'none'", response["Content-Security-Policy"])
        self.assertEqual(
            (response["X-Frame-Options"], response["X-Content-Type-Options"]), ("DENY", "nosniff")
        )

    async def test_lets_files_through_for_the_page_has_its_looks_from_there(self) -> None:
        self.assertEqual(
            (await self.ask(f"{settings.STATIC_URL}calls/css/base.css", "timeout")).content, b"well"
        )

    async def test_answers_what_was_let_in_before_the_outage_was_known(self) -> None:
        response = await self.ask("/hangs", "", "", "timeout")
        self.assertEqual((response.status_code, self.let_in), (503, ["/hangs"]))
        await asyncio.wait_for(self.left.wait(), 5)

    async def test_ends_the_view_of_a_client_that_leaves(self) -> None:
        asking = asyncio.create_task(self.ask("/hangs", ""))
        await asyncio.wait_for(self.came.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(self.left.wait(), 5)

    async def test_raises_what_a_view_raises(self) -> None:
        async def broken(request: HttpRequest) -> HttpResponse:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await DatabaseGate(broken, str)(AsyncRequestFactory().get("/"))

    async def test_on_sqlite_is_always_open(self) -> None:
        with (
            patch.object(database_watch.postgres, "outage", return_value="timeout"),
            patch.object(gate, "connection", vendor="sqlite"),
        ):
            response = await DatabaseGate(self.view)(AsyncRequestFactory().get("/"))
        self.assertEqual(response.status_code, 200)

    def test_knows_an_error_of_the_database_from_others(self) -> None:
        request = AsyncRequestFactory().get("/api/v1/calls/")
        made = DatabaseGate(self.view, str)
        for error in (OperationalError(), InterfaceError()):
            response = made.process_exception(request, error)
            assert response is not None
            self.assertEqual(response.status_code, 503)
        self.assertIsNone(made.process_exception(request, ValueError()))


@override_settings(ROOT_URLCONF="tests.acsmedia.monitoring.test_database_gate")
class InTheWholeApplication(SimpleTestCase):
    def setUp(self) -> None:
        released.clear()
        self.enterContext(patch.object(gate, "REFRESH_SECONDS", 0.01))

    async def ask(self, address: str, *away: str) -> HttpResponse:
        known = says(*away)
        with (
            patch.object(database_watch.postgres, "outage", lambda: next(known)),
            patch.object(gate, "connection", vendor="postgresql"),
        ):
            response = await self.async_client.get(address)
        assert isinstance(response, HttpResponse)
        return response

    async def test_an_answer_does_not_wait_for_the_thread_that_hangs(self) -> None:
        """Most other middleware runs in that thread, so the gate has to be in front of it."""
        try:
            response = await asyncio.wait_for(self.ask("/hanging", "", "", "timeout"), 10)
        finally:
            released.set()
        self.assertEqual(response.status_code, 503)

    async def test_a_view_that_loses_its_connection_is_answered_too(self) -> None:
        response = await self.ask("/failing", "")
        self.assertEqual(response.status_code, 503)
        self.assertNotIn("db.internal", response.content.decode())


def says(*words: str) -> Iterator[str]:
    """One word after another, then the last one for ever."""
    yield from words[:-1]
    while True:
        yield words[-1]
