"""Pages by cursor: `{"next", "previous", "results"}`. Rows added while the pages are read are
neither repeated nor skipped over.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidValue
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

PARAMETERS = ("cursor", "page_size")
WRONG_CURSOR = {"cursor": ["Not a cursor of this list: take it from next or previous."]}


class Pages(CursorPagination):
    page_size_query_param = "page_size"

    def get_page_size(self, request: Request) -> int:
        """Raises `ValidationError` where DRF would silently use its default."""
        text = request.query_params.get("page_size")
        if text is None:
            assert self.page_size is not None, "each kind of page has its size"
            return self.page_size
        limit = self.max_page_size or 0
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= limit):
            raise ValidationError({"page_size": [f"Must be a whole number from 1 to {limit}."]})
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor: Cursor | None = super().decode_cursor(request)
        except NotFound as error:
            raise ValidationError(WRONG_CURSOR) from error
        return cursor

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        try:
            page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        except (ValueError, InvalidValue) as error:
            # A cursor of another list: its position is not of this field's type.
            raise ValidationError(WRONG_CURSOR) from error
        return page


class CallPages(Pages):
    """Newest first."""

    ordering = ("-started_at", "-id")
    page_size = 50
    max_page_size = 200


class RefusalPages(Pages):
    """Newest first."""

    ordering = ("-first_at", "-id")
    page_size = 100
    max_page_size = 1000


class AuditPages(Pages):
    """Newest first, in the order of the chain."""

    ordering = ("-number",)
    page_size = 100
    max_page_size = 1000


class SegmentPages(Pages):
    """In order of time, all tracks of the call together. The view annotates `begins`."""

    ordering = ("begins", "id")
    page_size = 500
    max_page_size = 2000
