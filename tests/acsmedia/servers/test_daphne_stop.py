"""Requests that Daphne serves at SIGTERM."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from unittest import IsolatedAsyncioTestCase, mock

from asgiref.sync import async_to_sync, sync_to_async
from daphne.server import Server
from django.test import SimpleTestCase

from acsmedia import asgi
from acsmedia.servers import daphne_stop


class Stop(IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        assert asgi.application, "Daphne is patched"

    async def stop(self, *tasks: asyncio.Task[Any] | None) -> None:
        """Stops a server that serves these requests; `None` is a connection between two."""
        server: Any = SimpleNamespace(
            connections={
                number: {"application_instance": task} if task else {}
                for number, task in enumerate(tasks)
            }
        )
        await asyncio.sleep(0.05)  # each has begun
        await Server.kill_all_applications(server).asFuture(asyncio.get_running_loop())

    async def test_waits_for_all_of_them(self) -> None:
        ended: list[float] = []

        async def request(seconds: float) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(seconds)
                ended.append(seconds)

        await self.stop(*(asyncio.create_task(request(seconds)) for seconds in (0.0, 0.2)))
        self.assertEqual(ended, [0.0, 0.2])

    async def test_ends_those_in_a_synchronous_middleware(self) -> None:
        """Its thread waits for the loop, and the process would wait for the thread."""
        ended: list[str] = []

        async def view() -> None:
            await asyncio.sleep(3600)

        def middleware() -> None:
            try:
                async_to_sync(view)()
            finally:
                ended.append("middleware")

        quick = asyncio.create_task(view())
        await self.stop(None, quick, asyncio.create_task(sync_to_async(middleware)()))
        self.assertEqual(ended, ["middleware"])

    async def test_gives_up_one_that_does_not_end(self) -> None:
        released = asyncio.Event()

        async def request() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await released.wait()

        task = asyncio.create_task(request())
        with (
            mock.patch.object(daphne_stop, "STOP_SECONDS", 0.01),
            mock.patch.object(daphne_stop, "reactor") as reactor,
            self.assertLogs(daphne_stop.__name__, "WARNING") as logs,
        ):
            await self.stop(task)
        self.assertIn("requests not ended", logs.output[0])
        reactor.addSystemEventTrigger.assert_called_once_with(
            "after", "shutdown", daphne_stop._leave
        )
        released.set()
        await asyncio.wait([task])


class Leave(SimpleTestCase):
    def test_runs_what_is_registered_and_waits_for_no_thread(self) -> None:
        script = """
import atexit, concurrent.futures, threading
from acsmedia.servers import daphne_stop
threads = concurrent.futures.ThreadPoolExecutor()
threads.submit(threading.Event().wait)
atexit.register(print, "recorder stopped", flush=True)
daphne_stop._leave()
"""
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
        self.assertEqual(ended.stdout, "recorder stopped\n")
