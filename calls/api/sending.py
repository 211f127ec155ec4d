"""Sends audio over HTTP: conditional requests (RFC 9110, section 13) and ranges (section 14)."""

from __future__ import annotations

from threading import Event

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from calls.export.export import Export
from calls.http.byte_ranges import ByteRange, RangeSpec, Unsatisfiable, parse
from calls.http.heard import AudioNote
from calls.http.responses import Deferred, Streamed
from calls.http.streaming import Body, file_chunks, file_size, render_to_file
from calls.permissions import Needed


def send(
    request: Request,
    export: Export,
    needed: Needed,
    note: AudioNote,
    *,
    file_name: str,
    download: bool,
) -> HttpResponseBase:
    """Returns the response to a GET or HEAD for `export`, which needs the permissions `needed`.

    The audit has its entry, `note`, before the response is made.
    """
    headers = {
        "ETag": export.etag,
        "Cache-Control": "no-store",  # recordings stay out of every cache, on disk or not
        "Content-Disposition": f'{"attachment" if download else "inline"}; filename="{file_name}"',
        "Accept-Ranges": "bytes" if export.size is not None else "none",
    }
    if unchanged := not_modified(request, headers):
        return unchanged
    if request.method == "HEAD":
        return _head(export, headers)
    spec = _range(request, export)
    if spec is None:
        note.write(export)
        return _streamed(Body(export.chunks()), export, needed, headers)
    if export.size is None:
        return Deferred(lambda stop: _range_of_rendered(export, spec, needed, note, headers, stop))
    return _range_of_stored(export, spec, needed, note, headers)


def _head(export: Export, headers: dict[str, str]) -> HttpResponseBase:
    content_type = export.plan.format.content_type
    if export.size is None:  # streamed: Django sets Content-Length: 0 for an empty body
        nothing: tuple[bytes, ...] = ()
        body = Body(chunk for chunk in nothing)
        return StreamingHttpResponse(body, content_type=content_type, headers=headers)
    headers["Content-Length"] = str(export.size)
    return HttpResponse(content_type=content_type, headers=headers)


def not_modified(request: Request, headers: dict[str, str]) -> HttpResponseBase | None:
    """Returns 304 or 412 if If-None-Match or If-Match requires it."""
    current = HttpResponse(headers=headers)
    response: HttpResponseBase | None = get_conditional_response(
        request._request,  # noqa: SLF001 - DRF's documented way to Django's own request
        etag=headers["ETag"],
        response=current,
    )
    return None if response is current else response


def _range(request: Request, export: Export) -> RangeSpec | None:
    spec = parse(request.headers.get("Range"))
    condition = request.headers.get("If-Range")
    if spec is None or condition not in {None, export.etag}:
        return None
    # Browsers first request "all, as a range": encoding everything before the first byte would make
    # them wait.
    return None if spec.is_whole and export.size is None else spec


def _range_of_stored(
    export: Export, spec: RangeSpec, needed: Needed, note: AudioNote, headers: dict[str, str]
) -> HttpResponseBase:
    """Sends bytes of an export of known size."""
    assert export.size is not None, "the caller knows"
    try:
        part = spec.resolve(export.size)
    except Unsatisfiable:
        return _unsatisfiable(export.size)
    note.write(export, part)
    body = Body(export.chunks_between(part.first, part.last))
    return _streamed(body, export, needed, headers, part)


def _range_of_rendered(
    export: Export,
    spec: RangeSpec,
    needed: Needed,
    note: AudioNote,
    headers: dict[str, str],
    stop: Event,
) -> HttpResponseBase:
    """Encodes the whole export into a temporary file, because its size is unknown until then."""
    file = render_to_file(export.chunks(), stop)
    size = file_size(file)
    try:
        part = spec.resolve(size)
    except Unsatisfiable:
        file.close()
        return _unsatisfiable(size)
    try:
        note.write(export, part)
    except BaseException:
        file.close()
        raise
    body = Body(file_chunks(file, part.first, part.last))
    return _streamed(body, export, needed, {**headers, "Accept-Ranges": "bytes"}, part)


def _streamed(
    body: Body,
    export: Export,
    needed: Needed,
    headers: dict[str, str],
    part: ByteRange | None = None,
) -> Streamed:
    """Returns the response with the whole file, or with `part` of it."""
    status = 206 if part else 200
    response = Streamed(
        body, needed, status=status, content_type=export.plan.format.content_type, headers=headers
    )
    size = part.last - part.first if part else export.size
    if part:
        response["Content-Range"] = part.content_range
    if size is not None:
        response["Content-Length"] = str(size)
    return response


def _unsatisfiable(size: int) -> HttpResponse:
    message = {"detail": f"Range begins beyond the end of the file, which has {size} bytes."}
    return JsonResponse(message, status=416, headers={"Content-Range": f"bytes */{size}"})
