"""Pages by cursor: `{"next", "previous", "results"}`. A list that grows while it is read repeats
and skips nothing.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidValue
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

PARAMETERS = ("cursor", "page_size")


class _Pages(CursorPagination):
    page_size_query_param = "page_size"

    def get_page_size(self, request: Request) -> int:
        """Raises `ValidationError` where DRF would take its default in silence."""
        asked = request.query_params.get("page_size")
        if asked is None:
            assert self.page_size is not None, "each kind of page has its size"
            return self.page_size
        if not (
            asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= (self.max_page_size or 0)
        ):
            raise ValidationError(
                {"page_size": [f"A whole number from 1 to {self.max_page_size}."]}
            )
        return int(asked)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor: Cursor | None = super().decode_cursor(request)
        except NotFound as error:
            raise ValidationError(
                {"cursor": ["Not a cursor of this list: take it from next or previous."]}
            ) from error
        return cursor

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        try:
            page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        except (
            ValueError,
            InvalidValue,
        ) as error:  # a cursor of another list: its position is not of our field's type
            raise ValidationError(
                {"cursor": ["Not a cursor of this list: take it from next or previous."]}
            ) from error
        return page


class CallPages(_Pages):
    """Newest first."""

    ordering = ("-started_at", "-id")
    page_size = 50
    max_page_size = 200


class SegmentPages(_Pages):
    """In order of time, all tracks of the call together. `begins` is annotated by the view."""

    ordering = ("begins", "id")
    page_size = 500
    max_page_size = 2000
