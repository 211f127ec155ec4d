"""Questions that the domain asks of its rows. State is derived here from facts; it is stored nowhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Self

from django.apps import apps
from django.conf import settings
from django.db.models import (
    Case,
    CharField,
    DateTimeField,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

GOOD_CLOSE_CODES = (1000, 1001, 1005)
"""Closed in good order (RFC 6455, section 7.4.1): normal, going away, no code given. All else is a break."""

SILENT_AFTER = timedelta(seconds=30)
"""An open subscription that no process has vouched for this long is not live: its process or host has died."""


class SubscriptionQuerySet(QuerySet[Any]):
    def open(self, now: datetime) -> Self:
        """Sockets that a living process holds open. Index: subscription_open."""
        return self.filter(disconnected_at=None, seen_at__gt=now - SILENT_AFTER)


class CallQuerySet(QuerySet[Any]):
    def with_state(self, now: datetime) -> Self:
        """Annotates `state` ("live", "ended", "interrupted") and `ended_at` (None while live)."""
        of_call = _subscriptions().filter(call=OuterRef("pk"))
        last = of_call.annotate(end=Coalesce("disconnected_at", "seen_at")).order_by("-end")
        recently = now - timedelta(seconds=settings.RECONNECT_GRACE_SECONDS)
        return self.annotate(
            _open=Exists(of_call.open(now)),
            _last_end=Subquery(last.values("end")[:1], output_field=DateTimeField()),
            _last_code=Subquery(last.values("close_code")[:1]),
        ).annotate(
            state=Case(
                When(Q(_open=True) | Q(_last_end__gt=recently), then=Value("live")),
                When(_last_code__in=GOOD_CLOSE_CODES, then=Value("ended")),
                default=Value("interrupted"),
                output_field=CharField(),
            ),
            ended_at=Case(
                When(Q(_open=True) | Q(_last_end__gt=recently), then=None),
                default=Coalesce("_last_end", "started_at"),
                output_field=DateTimeField(),
            ),
        )

    def with_audio_extent(self) -> Self:
        """Annotates `audio_started_at` and `audio_ended_at`: the first and last moment heard of any participant."""
        return self.annotate(
            audio_started_at=Min("participants__heard_at"),
            audio_ended_at=Max("participants__heard_until"),
        )

    def live(self, now: datetime) -> Self:
        """Calls with an open socket, or one closed within the grace time."""
        recently = now - timedelta(seconds=settings.RECONNECT_GRACE_SECONDS)
        of_call = _subscriptions().filter(call=OuterRef("pk"))
        return self.filter(Exists(of_call.open(now)) | Exists(of_call.filter(disconnected_at__gt=recently)))

    def of_participant(self, text: str) -> Self:
        """Calls with a participant whose raw id contains `text` (part of a number, or a whole raw id)."""
        return self.filter(Exists(_model("Participant").objects.filter(call=OuterRef("pk"), raw_id__icontains=text)))


class SegmentQuerySet(QuerySet[Any]):
    def on_axis(self) -> Self:
        """In the order of the track."""
        return self.order_by(F("start_sample").asc())


def _subscriptions() -> SubscriptionQuerySet:
    queryset: SubscriptionQuerySet = _model("Subscription").objects.all()
    return queryset


def _model(name: str) -> Any:
    return apps.get_model("calls", name)
