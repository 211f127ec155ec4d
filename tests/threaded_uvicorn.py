"""uvicorn in a thread, with a small application: for tests of the layer between socket and ASGI."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

from uvicorn import Config, Server

from tests.servers import free_port
from tests.waiting import until

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class ThreadedUvicorn:
    """An async context manager. `options` are those of uvicorn's `Config`."""

    def __init__(self, application: Application, **options: Any) -> None:
        self.port = free_port()
        options = {"lifespan": "off", "log_level": "critical", **options}
        self._server = Server(Config(application, host="127.0.0.1", port=self.port, **options))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        await until(lambda: self._server.started)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await asyncio.to_thread(self._thread.join)

    def stop(self) -> None:
        self._server.should_exit = True

    @property
    def connections(self) -> list[Any]:
        """The protocols of all open sockets."""
        return list(self._server.server_state.connections)
