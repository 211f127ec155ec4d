"""Audio over HTTP: conditional requests (RFC 9110, section 13), ranges (section 14), bodies made in
threads.
"""

from __future__ import annotations

from collections.abc import Generator
from threading import Event

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from calls.export.export import Export
from calls.http.byte_ranges import ByteRange, RangeSpec, Unsatisfiable, parse
from calls.http.responses import Deferred, Streamed
from calls.http.streaming import Body, pieces_of_file, rendered, size_of


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


def _range(request: Request, export: Export) -> RangeSpec | None:
    wish = parse(request.headers.get("Range"))
    condition = request.headers.get("If-Range")
    if wish is None or condition not in {None, export.etag}:
        return None
    # Browsers ask for "all, as a range" first: encoding everything before the first byte would make
    # them wait.
    return None if wish.is_whole and export.size is None else wish


def _head(export: Export, headers: dict[str, str]) -> HttpResponseBase:
    content_type = export.plan.format.content_type
    if export.size is None:  # streamed, for Django would say of an empty body that its length is 0
        return StreamingHttpResponse(Body(_nothing()), content_type=content_type, headers=headers)
    return HttpResponse(
        content_type=content_type, headers={**headers, "Content-Length": str(export.size)}
    )


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _whole(export: Export, headers: dict[str, str]) -> Streamed:
    response = Streamed(
        Body(export.pieces()), content_type=export.plan.format.content_type, headers=headers
    )
    if export.size is not None:
        response["Content-Length"] = str(export.size)
    return response


def _part_of_known(
    export: Export, wish: RangeSpec, size: int, headers: dict[str, str]
) -> HttpResponseBase:
    try:
        part = wish.of(size)
    except Unsatisfiable:
        return _unsatisfiable(size)
    return _part(Body(export.pieces_between(part.first, part.last)), export, part, headers)


def _part_of_rendered(
    export: Export, wish: RangeSpec, headers: dict[str, str], stop: Event
) -> HttpResponseBase:
    file = rendered(export.pieces(), stop)
    try:
        part = wish.of(size_of(file))
    except Unsatisfiable:
        size = size_of(file)
        file.close()
        return _unsatisfiable(size)
    return _part(
        Body(pieces_of_file(file, part.first, part.last)),
        export,
        part,
        {**headers, "Accept-Ranges": "bytes"},
    )


def _part(body: Body, export: Export, part: ByteRange, headers: dict[str, str]) -> Streamed:
    response = Streamed(
        body, status=206, content_type=export.plan.format.content_type, headers=headers
    )
    response["Content-Range"] = part.content_range
    response["Content-Length"] = str(part.last - part.first)
    return response


def _unsatisfiable(size: int) -> HttpResponse:
    message = {"detail": f"Range: these bytes lie behind the end; the file has {size}."}
    return JsonResponse(message, status=416, headers={"Content-Range": f"bytes */{size}"})
