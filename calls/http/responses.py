"""Django responses that are made in an export thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from threading import Event
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from calls.export.errors import ExportError
from calls.http.access import Access
from calls.http.errors import response_for
from calls.http.streaming import Body, in_thread
from calls.permissions import Needed


class Deferred(HttpResponse):
    """A placeholder: `work` makes the response in an export thread. The event that it is given is
    set when the client disconnects.
    """

    def __init__(self, work: Callable[[Event], HttpResponseBase]) -> None:
        super().__init__()
        self.work = work


class Streamed(StreamingHttpResponse):
    """A response with a body that is made while it is sent, to a user who has the permissions
    `needed` all the time.
    """

    def __init__(self, body: Body, needed: Needed, **options: Any) -> None:
        super().__init__(body, **options)
        self.body, self.needed = body, needed


def as_file(body: Body, needed: Needed, name: str, content_type: str) -> Streamed:
    """Returns a download with the file name `name`, which no cache stores."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Streamed(body, needed, content_type=content_type, headers=headers)


def asynchronous(view: Any) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Makes a synchronous view asynchronous, and its `Deferred` and `Streamed` responses in export
    threads.
    """

    async def respond(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        def answer() -> tuple[HttpResponseBase, Any]:
            # The user is known only now: REST reads the token in the view.
            return view(request, **arguments), request.user.pk

        response, owner = await sync_to_async(answer)()
        return await _made(response, owner, request)

    # The schema generator reads these from a view.
    for name in ("cls", "initkwargs", "csrf_exempt", "__name__", "__doc__"):
        setattr(respond, name, getattr(view, name, None))
    return respond


async def _made(response: HttpResponseBase, owner: Any, request: HttpRequest) -> HttpResponseBase:
    """Returns the response, or what it stands for, with a body that has begun."""
    try:
        if isinstance(response, Deferred):
            made = await in_thread(response.work, owner)
            for header, value in response.items():  # set by DRF, such as Vary
                made.headers.setdefault(header, value)
            response = made
        if isinstance(response, Streamed):
            response.body.owner = owner
            response.body.access = Access(request, response.needed)
            await response.body.begin()
    except ExportError as error:
        response.close()
        return response_for(error)
    except BaseException:  # the client has disconnected
        response.close()
        raise
    return response
