"""Exceptions as JSON: the message is under the parameter's name, or under `detail`."""

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
DATABASE_UNAVAILABLE = {"detail": "The database is unreachable. Try again."}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Extends DRF's exception handler to export errors and an unreachable database."""
    if isinstance(error, ExportError):
        return Response(_body(error), status=error.status, headers=_headers(error.status))
    if isinstance(error, OperationalError | InterfaceError):
        view, reason = type(context["view"]).__name__, type(error).__name__
        log.warning("database unreachable", view=view, reason=reason)
        return Response(DATABASE_UNAVAILABLE, status=503, headers=_headers(503))
    return views.exception_handler(error, context)


def response_for(error: ExportError) -> JsonResponse:
    """Returns the response to an error raised outside a view, in the thread that makes the body."""
    return JsonResponse(_body(error), status=error.status, headers=_headers(error.status))


def database_unavailable() -> JsonResponse:
    """Returns the response to requests that are refused while the database is unreachable."""
    return JsonResponse(DATABASE_UNAVAILABLE, status=503, headers=_headers(503))


def _body(error: ExportError) -> dict[str, Any]:
    return {error.parameter: str(error) if error.parameter == "detail" else [str(error)]}


def _headers(status: int) -> dict[str, str]:
    return {"Retry-After": RETRY_AFTER_SECONDS} if status == 503 else {}
