"""Daphne: aborts the connection if an application fails after its response has started.

Daphne 4.2.3 tries to send an error page instead, which raises inside the loop that supervises its
applications (`Server.application_checker`). The client then waits forever, and so does every
connection that ends after it, because the loop is not restarted. uvicorn aborts the connection by
itself.
"""

from __future__ import annotations

from daphne.http_protocol import WebRequest

_send_error_page = WebRequest.handle_exception


def abort_broken_responses() -> None:
    """Patches Daphne. Must be called once, before it serves."""

    def handle_exception(request: WebRequest, exception: BaseException) -> None:
        if request._response_started:  # noqa: SLF001 - Daphne has no public name for it
            if request.channel is not None:
                request.channel.transport.abortConnection()
        else:
            _send_error_page(request, exception)

    WebRequest.handle_exception = handle_exception
