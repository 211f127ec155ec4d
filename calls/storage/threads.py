"""Worker threads that read from the audio store and leave no database connection open."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")


def call_and_disconnect(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls `work` and then closes the database connections of this thread.

    A store in the database opens a connection in every thread that reads from it, and an idle
    worker would keep its own open.
    """
    try:
        return work(*args, **kwargs)
    finally:
        connections.close_all()
