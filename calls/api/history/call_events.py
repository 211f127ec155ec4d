"""The events of a call in REST: its ledger and the events of ACS as one list."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView, get_object_or_404
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from calls.api.pagination import PARAMETERS, WRONG_CURSOR, Pages
from calls.api.parameters import reject_unknown
from calls.api.schema import listed
from calls.api.views import Resource
from calls.coverage.call_events import KINDS, CallEventLine, CallEvents, Position
from calls.models import Call


class CallEventSerializer(serializers.Serializer[CallEventLine]):
    """An event of a call."""

    id = serializers.UUIDField(help_text="The same whenever it is read.")
    kind = serializers.ChoiceField(choices=KINDS)
    reason = serializers.CharField()
    text = serializers.CharField(help_text="The event in words.")
    participant = serializers.UUIDField(
        allow_null=True, help_text="null: the whole call, or somebody who has no track."
    )
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(
        allow_null=True, help_text="null: it has no length, or has not ended."
    )
    detail = serializers.JSONField(help_text="docs/rest.md, Events.")


class _Cursor(NamedTuple):
    is_reverse: bool
    position: Position


class CallEventPages(Pages):
    """In order of time. Works on `CallEvents`, not on a query set."""

    page_size = 500
    max_page_size = 2000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        events: CallEvents = queryset
        size, cursor = self.get_page_size(request), _decoded(request)
        self._address = request.build_absolute_uri()
        if cursor and cursor.is_reverse:
            page = events.before(cursor.position, size)
        else:
            page = events.after(cursor.position if cursor else None, size)
        self._first = self._last = None
        if page and events.before(page[0].position, 1):
            self._first = page[0].position
        if page and events.after(page[-1].position, 1):
            self._last = page[-1].position
        return page

    def get_next_link(self) -> str | None:
        return self._link(self._last, is_reverse=False)

    def get_previous_link(self) -> str | None:
        return self._link(self._first, is_reverse=True)

    def _link(self, position: Position | None, *, is_reverse: bool) -> str | None:
        if position is None:
            return None
        parts = [is_reverse, position.started_at.isoformat(), str(position.id)]
        cursor = urlsafe_b64encode(json.dumps(parts).encode()).decode()
        return replace_query_param(self._address, "cursor", cursor)


def _decoded(request: Request) -> _Cursor | None:
    """Returns the cursor of a request. Raises `ValidationError`."""
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        is_reverse, at, event_id = json.loads(urlsafe_b64decode(text.encode()))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not isinstance(is_reverse, bool):
            raise ValidationError(WRONG_CURSOR)
        return _Cursor(is_reverse, Position(moment.astimezone(UTC), UUID(event_id)))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValidationError(WRONG_CURSOR) from None


@listed("call_events", CallEventSerializer, "Events of a call, in order of time", is_of_call=True)
class CallEventList(Resource, ListAPIView[Any]):
    serializer_class = CallEventSerializer
    pagination_class = CallEventPages
    filter_backends = ()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        reject_unknown(request, ["kind", *PARAMETERS])
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        return CallEvents(get_object_or_404(Call, pk=self.kwargs["pk"]), self._kinds())

    def _kinds(self) -> frozenset[str]:
        """Returns the kinds that `kind` names, separated by commas; without it, all."""
        text = self.request.query_params.get("kind")
        kinds = frozenset(KINDS if text is None else text.split(","))
        if unknown := kinds - set(KINDS):
            names = ", ".join(sorted(KINDS))
            wrong = f"“{min(unknown)}” is no kind of event. Known: {names}."
            raise ValidationError({"kind": [wrong]})
        return kinds
