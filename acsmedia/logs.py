"""Structured logs: every line is one event with named values.

The modules of this project log through structlog (`log.info("stream opened", stream=…)`). Lines of
Django and of the servers pass through the same formatter, so one parser reads them all.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

import structlog
from django.http import HttpRequest
from django.utils.functional import LazyObject
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from calls.export.errors import AccessEnded
from calls.lockout import client_address

log = structlog.get_logger(__name__)

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


class RefusedRequests(logging.Filter):
    """Replaces Django's lines about a 403, one of them with a traceback, by one with the user and
    the address.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if getattr(record, "status_code", None) != HTTPStatus.FORBIDDEN or request is None:
            return True
        if not getattr(request, "was_logged", False):  # Django logs the exception and the response
            request.was_logged = True
            log.warning(
                "request refused",
                user=_user_of(request),
                address=client_address(request) or "",
                method=request.method,
                path=request.path,  # without the query, which may hold a secret
            )
        return False


class FailedProbes(logging.Filter):
    """Drops Django's error for each 503 of `/readyz`: a probe comes every few seconds, and what it
    reports has lines of its own.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        is_unavailable = getattr(record, "status_code", None) == HTTPStatus.SERVICE_UNAVAILABLE
        return not (is_unavailable and request is not None and request.path_info == "/readyz")


class EndedDownloads(logging.Filter):
    """Drops the traceback with which a server notes a download that was cut off because its user
    may not have it any more: `calls.http.access` has logged that.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], AccessEnded))


def _user_of(request: HttpRequest) -> str:
    """Returns the name of the user, if it is known without a query."""
    known = getattr(request, "_cached_user", None) or vars(request).get("user")
    if known is None or isinstance(known, LazyObject):
        return ""
    return str(known.get_username())


def formatter(*, readable: bool) -> ProcessorFormatter:
    """Returns the formatter for `settings.LOGGING`: JSON, or aligned text if `readable`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=False)
        if readable
        else structlog.processors.JSONRenderer()
    )
    return ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[ProcessorFormatter.remove_processors_meta, last],
    )
