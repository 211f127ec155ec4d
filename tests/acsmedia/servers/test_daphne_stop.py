"""Requests that Daphne serves at SIGTERM."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from unittest import IsolatedAsyncioTestCase, mock

from asgiref.sync import async_to_sync, sync_to_async
from daphne.server import Server
from django.test import SimpleTestCase

from acsmedia import asgi
from acsmedia.servers import daphne_stop


def server_of(*tasks: asyncio.Task[Any] | None) -> Any:
    """Returns a server that serves these requests; `None` is a connection between two."""
    return SimpleNamespace(
        connections={
            number: {"application_instance": task} if task else {}
            for number, task in enumerate(tasks)
        }
    )


class Stop(IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        assert asgi.application, "Daphne is patched"

    async def stop(self, server: Any) -> None:
        await asyncio.sleep(0.05)  # each request has begun
        with mock.patch.object(daphne_stop, "reactor") as reactor:
            stopped = Server.kill_all_applications(server)
        reactor.addSystemEventTrigger.assert_called_once_with(
            "after", "shutdown", daphne_stop._leave, server
        )
        await stopped.asFuture(asyncio.get_running_loop())

    async def test_waits_for_all_of_them(self) -> None:
        ended: list[float] = []

        async def request(seconds: float) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(seconds)
                ended.append(seconds)

        requests = (asyncio.create_task(request(seconds)) for seconds in (0.0, 0.2))
        await self.stop(server_of(*requests))
        self.assertEqual(ended, [0.0, 0.2])

    async def test_ends_those_in_a_synchronous_middleware(self) -> None:
        """Its thread waits for the loop, and the process would wait for the thread."""
        ended: list[str] = []

        async def view() -> None:
            await asyncio.sleep(3600)

        def middleware() -> None:
            with suppress(asyncio.CancelledError):
                async_to_sync(view)()
            ended.append("middleware")

        quick = asyncio.create_task(view())
        await self.stop(server_of(None, quick, asyncio.create_task(sync_to_async(middleware)())))
        self.assertEqual(ended, ["middleware"])

    async def test_ends_those_that_begin_meanwhile(self) -> None:
        async def another() -> None:
            await asyncio.sleep(3600)

        async def request() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                details["application_instance"] = asyncio.create_task(another())

        server = server_of(asyncio.create_task(request()))
        (details,) = server.connections.values()
        await self.stop(server)
        self.assertTrue(details["application_instance"].cancelled())

    async def test_gives_up_one_that_does_not_end(self) -> None:
        released = asyncio.Event()

        async def request() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await released.wait()

        task = asyncio.create_task(request())
        with mock.patch.object(daphne_stop, "STOP_SECONDS", 0.01):
            await self.stop(server_of(task))
        self.assertFalse(task.done())
        released.set()
        await asyncio.wait([task])


LEAVE = """
import atexit, concurrent.futures, sys, threading
from types import SimpleNamespace
from acsmedia.servers import daphne_stop
threads = concurrent.futures.ThreadPoolExecutor()
released = threading.Event()
running = threads.submit(released.wait)
atexit.register(print, "recorder stopped", flush=True)
if sys.argv[1] == "ended":
    released.set()
    running.result()
daphne_stop._leave(SimpleNamespace(connections={1: {"application_instance": running}}))
print("returned")
"""


class Leave(SimpleTestCase):
    def leave(self, state: str) -> str:
        command = [sys.executable, "-c", LEAVE, state]
        return subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        ).stdout

    def test_runs_what_is_registered_and_waits_for_no_thread(self) -> None:
        self.assertRegex(self.leave("running"), r"requests not ended.*\n*recorder stopped\n$")

    def test_does_nothing_if_all_have_ended(self) -> None:
        self.assertEqual(self.leave("ended"), "returned\nrecorder stopped\n")
