"""Pages and live socket on uvicorn in a thread of this process, and a real Chromium.

The server shares the database and the channel layer of the running test: `self.publish(...)` sends
updates as a recording process would.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import unittest
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import uvicorn
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.test import TransactionTestCase, tag
from django.urls import path
from playwright.sync_api import Browser, Page, sync_playwright

from calls.live import channel
from calls.live.messages import News
from tests import machine
from tests.people import person

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NO_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("no"); },
});"""
"""Script of a browser that forbids storage, as some do in private windows."""

OPERATOR, PASSWORD = "operator", "the password of the tests"
START_SECONDS = 20.0


class ServerThread:
    """The ASGI application on a loopback port; `stop` ends every connection, `start` listens on
    the same port again.
    """

    def __init__(self) -> None:
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            _application(), log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        is_up = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listener, is_up), name="server", daemon=True
        )
        self._thread.start()
        assert is_up.wait(START_SECONDS), "the server has started"

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        assert not self._thread.is_alive(), "the server has stopped"
        self._server = None

    def abort_connections(self) -> None:
        """Aborts every connection as a network failure does; the server accepts new ones."""

        async def abort() -> None:
            assert self._server
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()

        self.run(abort()).result(timeout=5)

    def publish(self, news: News) -> None:
        """Publishes as a recording process would; returns when the layer has accepted it."""
        self.run(channel.publish(news)).result(timeout=5)

    def run(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Runs `work` on the server's event loop."""
        assert self._loop, "the server has been started"
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self, listener: socket.socket, is_up: threading.Event) -> None:
        async def serve() -> None:
            assert self._server
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(is_up.set)
            await self._server.serve(sockets=[listener])

        asyncio.run(serve())


@tag("browser")
class BrowserTestCase(TransactionTestCase):
    """One browser per module, one server per class; a new window, already logged in, per test."""

    server: ClassVar[ServerThread]
    browser: ClassVar[Browser]

    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = _browser_of_module()
        super().setUpClass()
        cls.server = ServerThread()
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        self.operator = person(OPERATOR, password=PASSWORD)
        self.console: list[str] = []

    def publish(self, process: str = "one", **update: Any) -> None:
        news: Any = {"process": process, "levels": {}, **update}
        self.server.publish(news)

    @contextmanager
    def window(self, *, logged_in: bool = True, **options: Any) -> Iterator[Page]:
        """Opens a page in a new browser context; its console output is in `self.console`."""
        context = self.browser.new_context(base_url=self.server.url, **options)
        try:
            if logged_in:
                self.client.force_login(self.operator)
                session = self.client.cookies["sessionid"].value
                context.add_cookies(
                    [{"name": "sessionid", "value": session, "url": self.server.url}]
                )
            page = context.new_page()
            page.set_default_timeout(10_000)
            page.on(
                "console", lambda message: self.console.append(f"{message.type}: {message.text}")
            )
            page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
            yield page
        finally:
            context.close()


_launched: list[Browser] = []


def _browser_of_module() -> Browser:
    """Launches the browser for the first class of a module of tests; closes it after the last."""
    if not _launched:
        chromium = machine.chromium()
        # Playwright runs a loop in this thread, so Django would refuse the queries of the tests.
        unittest.enterModuleContext(mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="true"))
        playwright = unittest.enterModuleContext(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        _launched.append(browser)
        unittest.addModuleCleanup(_launched.clear)
        unittest.addModuleCleanup(browser.close)
    return _launched[0]


def _application() -> Any:
    # Imported when the first server starts: the modules of the sockets need Django's registry.
    from calls.routing import listen_socket, live_socket

    return ProtocolTypeRouter(
        {
            "http": get_asgi_application(),
            "websocket": URLRouter(
                [path("ws/live", live_socket), path("ws/listen/<uuid:call_id>", listen_socket)]
            ),
        }
    )
