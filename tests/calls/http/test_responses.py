"""Responses that are made in export threads: in whose name, and their end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, SimpleTestCase

from calls.http import streaming
from calls.http.responses import Deferred, Streamed, as_file, asynchronous
from calls.http.streaming import Body
from calls.permissions import TO_EXPORT

USER = 7


def request() -> HttpRequest:
    made = RequestFactory().get("/")
    made.user = SimpleNamespace(pk=USER)  # type: ignore[assignment]
    made.session = SimpleNamespace(session_key="")  # type: ignore[assignment]
    return made


def two() -> Generator[bytes, None, None]:
    yield from (b"one ", b"two")


class ResponsesTests(SimpleTestCase):
    async def owners(self, view: Callable[[HttpRequest], HttpResponse | Streamed]) -> set[Any]:
        """Returns in whose names the response of a view is made and sent."""
        seen = set[Any]()
        submit = streaming._threads.submit

        def noting(owner: Any, work: Any) -> Any:
            seen.add(owner)
            return submit(owner, work)

        with patch.object(streaming._threads, "submit", noting):
            response: Any = await asynchronous(view)(request())
            if isinstance(response, Streamed):
                content = b"".join([chunk async for chunk in response])
                self.assertEqual(content, b"one two")
        return seen

    async def test_all_work_counts_for_the_user_of_the_request(self) -> None:
        """Or one user could take all threads."""
        body, deferred = Body(two()), Deferred(lambda _stop: HttpResponse(b"drawn"))
        self.assertEqual(
            await self.owners(lambda _: as_file(body, TO_EXPORT, "x", "text/plain")), {USER}
        )
        self.assertEqual(await self.owners(lambda _: deferred), {USER})

    async def test_a_download_is_checked_for_the_permissions_that_it_needs(self) -> None:
        body = Body(two())
        await asynchronous(lambda _: as_file(body, TO_EXPORT, "x", "text/plain"))(request())
        assert body.access, "set with the user"
        self.assertEqual((body.access._needed, body.access._user_id), (TO_EXPORT, USER))
        body.close()

    async def test_a_client_that_leaves_before_the_first_byte_ends_the_work(self) -> None:
        started, ended = threading.Event(), threading.Event()

        def seek() -> Generator[bytes, None, None]:
            try:
                while True:
                    started.set()
                    yield b""
            finally:
                ended.set()

        body = Body(seek())
        view = asynchronous(lambda _: as_file(body, TO_EXPORT, "x", "text/plain"))
        asked = asyncio.ensure_future(view(request()))
        self.assertTrue(await asyncio.to_thread(started.wait, 10))
        asked.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await asked
        self.assertTrue(await asyncio.to_thread(ended.wait, 10))
