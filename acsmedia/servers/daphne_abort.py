"""Daphne, when an application fails after its answer has begun: the connection is cut, so that the
client sees it.

Daphne 4.2.3 tries to send an error page instead, which raises within the loop that looks after its
applications (`Server.application_checker`). The client then waits for ever, and so does every
connection that ends after it, because the loop is not started again. uvicorn cuts the connection by
itself.
"""

from __future__ import annotations

from daphne.http_protocol import WebRequest

_answer_with_error_page = WebRequest.handle_exception


def cut_broken_answers() -> None:
    """To be called once, before Daphne serves."""
    WebRequest.handle_exception = _handle_exception


def _handle_exception(request: WebRequest, exception: BaseException) -> None:
    if request._response_started:  # noqa: SLF001 - Daphne has no public name for it
        if request.channel is not None:
            request.channel.transport.abortConnection()
    else:
        _answer_with_error_page(request, exception)
