"""One blocking call in a thread of its own, for what may hang: a key server, a database, a disk.

The thread is a daemon and belongs to nobody's pool: a call that never returns costs one thread,
holds up neither the event loop nor the end of the process. Callers keep at most one such call of a
kind in flight.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(call: Callable[[], T], *, name: str) -> Future[T]:
    """Starts `call` at once; the future carries its result, or what it raised."""
    future: Future[T] = Future()
    Thread(target=_run, args=(call, future), name=name, daemon=True).start()
    return future


def _run(call: Callable[[], T], future: Future[T]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits, as an executor does
        future.set_exception(error)
    else:
        future.set_result(result)
