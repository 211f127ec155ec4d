"""One blocking call in a thread of its own, for calls that may hang: a key server, a database, a
disk.

The thread is a daemon and outside any pool: a call that never returns costs one thread, but blocks
neither the event loop nor the end of the process. Callers keep at most one such call of a kind in
flight.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(call: Callable[[], T], *, name: str) -> Future[T]:
    """Starts `call` at once; the future receives its result or its exception."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - passed on by the future, as an executor does
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=run, name=name, daemon=True).start()
    return future
