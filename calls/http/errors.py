"""Every exception -> JSON. What concerns a parameter stands under its name, anything else under `detail`."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.http import JsonResponse
from rest_framework.response import Response
from rest_framework.views import exception_handler

from calls.export.errors import ExportFault

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = "5"
DATABASE_AWAY = {"detail": "The database does not answer. Try again."}


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler, with the faults of an export and a database that is away."""
    if isinstance(error, ExportFault):
        return Response(body_of(error), status=error.status, headers=_headers(error.status))
    if isinstance(error, OperationalError | InterfaceError):
        log.warning("database away", view=type(context["view"]).__name__, reason=type(error).__name__)
        return Response(DATABASE_AWAY, status=503, headers=_headers(503))
    return exception_handler(error, context)


def answer_of_fault(fault: ExportFault) -> JsonResponse:
    """For what fails outside of a view: in the thread that makes the body."""
    return JsonResponse(body_of(fault), status=fault.status, headers=_headers(fault.status))


def answer_of_database_away() -> JsonResponse:
    """For requests that are not let in to a view while the database is away."""
    return JsonResponse(DATABASE_AWAY, status=503, headers=_headers(503))


def body_of(fault: ExportFault) -> dict[str, Any]:
    return {fault.parameter: str(fault) if fault.parameter == "detail" else [str(fault)]}


def _headers(status: int) -> dict[str, str]:
    return {"Retry-After": RETRY_AFTER_SECONDS} if status == 503 else {}
