"""Django responses whose work or body belongs in an export thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from threading import Event
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from calls.export.errors import ExportError
from calls.http.errors import response_for
from calls.http.streaming import Body, in_thread


class Deferred(HttpResponse):
    """No answer yet: `work` makes it in an export thread. Its event is set when the client has gone
    away.
    """

    def __init__(self, work: Callable[[Event], HttpResponseBase]) -> None:
        super().__init__()
        self.work = work


class Streamed(StreamingHttpResponse):
    """An answer whose body is made while it is sent."""

    def __init__(self, body: Body, **options: Any) -> None:
        super().__init__(body, **options)
        self.body = body


def as_file(body: Body, name: str, content_type: str) -> Streamed:
    """To be saved under `name`, and kept by no cache."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Streamed(body, content_type=content_type, headers=headers)


def asynchronous(view: Any) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """A DRF view (which is synchronous) whose `Deferred` and `Streamed` answers are made in export
    threads.
    """

    async def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(view)(request, **arguments)
        try:
            response = await _completed(response)
        except ExportError as fault:
            response.close()
            return response_for(fault)
        except BaseException:  # the client has gone away
            response.close()
            raise
        return response

    for name in (
        "cls",
        "initkwargs",
        "csrf_exempt",
        "__name__",
        "__doc__",
    ):  # what the schema asks a view for
        setattr(answer, name, getattr(view, name, None))
    return answer


async def _completed(response: HttpResponseBase) -> HttpResponseBase:
    if isinstance(response, Deferred):
        made = await in_thread(response.work)
        for name, value in response.items():  # what DRF has set, such as Vary
            made.headers.setdefault(name, value)
        response = made
    if isinstance(response, Streamed):
        try:
            await response.body.begin()
        except BaseException:
            response.close()
            raise
    return response
