"""Audio over HTTP: conditional requests (RFC 9110, section 13), ranges (section 14), bodies made in threads."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from threading import Event
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from calls.api.errors import answer_of_fault
from calls.export.body import Body, in_thread, pieces_of_file, rendered, size_of
from calls.export.byteranges import ByteRange, RangeWish, Unsatisfiable, parse
from calls.export.export import Export
from calls.export.faults import ExportFault


class Deferred(HttpResponse):
    """No answer yet: `work` makes it in an export thread. Its event is set when the client has gone away."""

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
    """A DRF view (which is synchronous) whose `Deferred` and `Streamed` answers are made in export threads."""

    async def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(view)(request, **arguments)
        try:
            response = await _completed(response)
        except ExportFault as fault:
            response.close()
            return answer_of_fault(fault)
        except BaseException:  # the client has gone away
            response.close()
            raise
        return response

    for name in ("cls", "initkwargs", "csrf_exempt", "__name__", "__doc__"):  # what the schema asks a view for
        setattr(answer, name, getattr(view, name, None))
    return answer


def send(request: Request, export: Export, *, file_name: str, download: bool) -> HttpResponseBase:
    """The answer to a GET or HEAD for `export`."""
    headers = {
        "ETag": export.etag,
        "Cache-Control": "private, no-cache",  # keep it, and ask whether it is still so
        "Content-Disposition": f'{"attachment" if download else "inline"}; filename="{file_name}"',
        "Accept-Ranges": "bytes" if export.size is not None else "none",
    }
    if unchanged := not_modified(request, headers):
        return unchanged
    if request.method == "HEAD":
        return _head(export, headers)
    wish = _range(request, export)
    if wish is None:
        return _whole(export, headers)
    if export.size is None:
        return Deferred(lambda stop: _part_of_rendered(export, wish, headers, stop))
    return _part_of_known(export, wish, export.size, headers)


def not_modified(request: Request, headers: dict[str, str]) -> HttpResponseBase | None:
    """304 or 412 where If-None-Match or If-Match says so."""
    current = HttpResponse(headers=headers)
    answer: HttpResponseBase | None = get_conditional_response(
        request._request,  # noqa: SLF001 - DRF's documented way to Django's own request
        etag=headers["ETag"],
        response=current,
    )
    return None if answer is current else answer


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


def _range(request: Request, export: Export) -> RangeWish | None:
    wish = parse(request.headers.get("Range"))
    condition = request.headers.get("If-Range")
    if wish is None or condition not in {None, export.etag}:
        return None
    # Browsers ask for "all, as a range" first: encoding everything before the first byte would make them wait.
    return None if wish.is_whole and export.size is None else wish


def _head(export: Export, headers: dict[str, str]) -> HttpResponseBase:
    content_type = export.plan.format.content_type
    if export.size is None:  # streamed, for Django would say of an empty body that its length is 0
        return StreamingHttpResponse(Body(_nothing()), content_type=content_type, headers=headers)
    return HttpResponse(content_type=content_type, headers={**headers, "Content-Length": str(export.size)})


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _whole(export: Export, headers: dict[str, str]) -> Streamed:
    response = Streamed(Body(export.pieces()), content_type=export.plan.format.content_type, headers=headers)
    if export.size is not None:
        response["Content-Length"] = str(export.size)
    return response


def _part_of_known(export: Export, wish: RangeWish, size: int, headers: dict[str, str]) -> HttpResponseBase:
    try:
        part = wish.of(size)
    except Unsatisfiable:
        return _unsatisfiable(size)
    return _part(Body(export.pieces_between(part.first, part.last)), export, part, headers)


def _part_of_rendered(export: Export, wish: RangeWish, headers: dict[str, str], stop: Event) -> HttpResponseBase:
    file = rendered(export.pieces(), stop)
    try:
        part = wish.of(size_of(file))
    except Unsatisfiable:
        size = size_of(file)
        file.close()
        return _unsatisfiable(size)
    return _part(Body(pieces_of_file(file, part.first, part.last)), export, part, {**headers, "Accept-Ranges": "bytes"})


def _part(body: Body, export: Export, part: ByteRange, headers: dict[str, str]) -> Streamed:
    response = Streamed(body, status=206, content_type=export.plan.format.content_type, headers=headers)
    response["Content-Range"] = part.content_range
    response["Content-Length"] = str(part.last - part.first)
    return response


def _unsatisfiable(size: int) -> HttpResponse:
    message = {"detail": f"Range: these bytes lie behind the end; the file has {size}."}
    return JsonResponse(message, status=416, headers={"Content-Range": f"bytes */{size}"})
