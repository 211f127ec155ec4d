"""Every exception -> JSON. What concerns a parameter stands under its name, anything else under
`detail`.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.http import JsonResponse
from rest_framework import views
from rest_framework.response import Response

from calls.export.errors import ExportError

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = "5"
DATABASE_UNAVAILABLE = {"detail": "The database does not answer. Try again."}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler, with the faults of an export and a database that is away."""
    if isinstance(error, ExportError):
        return Response(body_of(error), status=error.status, headers=_headers(error.status))
    if isinstance(error, OperationalError | InterfaceError):
        log.warning(
            "database away", view=type(context["view"]).__name__, reason=type(error).__name__
        )
        return Response(DATABASE_UNAVAILABLE, status=503, headers=_headers(503))
    return views.exception_handler(error, context)


def response_for(fault: ExportError) -> JsonResponse:
    """For what fails outside of a view: in the thread that makes the body."""
    return JsonResponse(body_of(fault), status=fault.status, headers=_headers(fault.status))


def database_unavailable() -> JsonResponse:
    """For requests that are not let in to a view while the database is away."""
    return JsonResponse(DATABASE_UNAVAILABLE, status=503, headers=_headers(503))


def body_of(fault: ExportError) -> dict[str, Any]:
    return {fault.parameter: str(fault) if fault.parameter == "detail" else [str(fault)]}


def _headers(status: int) -> dict[str, str]:
    return {"Retry-After": RETRY_AFTER_SECONDS} if status == 503 else {}
