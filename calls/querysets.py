"""Questions that the domain asks of its rows. State is derived here from facts; it is stored
nowhere.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Self

from django.apps import apps
from django.conf import settings
from django.db.models import (
    Aggregate,
    Case,
    CharField,
    Count,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from calls.lookups import is_common

GOOD_CLOSE_CODES = (1000, 1001, 1005)
"""Closed in good order (RFC 6455, section 7.4.1): normal, going away, no code given. All else is a
break.
"""

BROKEN = ~Q(close_code__in=GOOD_CLOSE_CODES)
"""A socket that was not closed in good order: few of them, by the index subscription_broken. Open
ones too.
"""

SILENT_AFTER = timedelta(seconds=45)
"""An open subscription that no process has vouched for this long is not live: its process or host
has died.
"""


class SubscriptionQuerySet(QuerySet[Any]):
    def open(self, now: datetime) -> Self:
        """Sockets that a living process holds open. Index: subscription_open."""
        return self.filter(disconnected_at=None, seen_at__gt=now - SILENT_AFTER)

    def with_segment_count(self) -> Self:
        segments = _model("Segment").objects.all()
        return self.annotate(segment_count=Coalesce(_over(segments, "subscription", Count("*")), 0))


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

    def in_state(self, state: str, now: datetime) -> Self:
        """Of calls `with_state` those in that state; the two rare ones are found by their
        sockets.
        """
        calls = self
        if state == "live":
            calls = self.live(now)
        elif state == "interrupted":
            calls = self.filter(pk__in=_subscriptions().filter(BROKEN).order_by().values("call"))
        return calls.filter(state=state)

    def with_audio_extent(self) -> Self:
        """Annotates `audio_started_at` and `audio_ended_at`: the first and last moment heard of any
        participant.
        """
        # Subqueries, not a join: a list of 50 asks for 50 calls instead of grouping all there are.
        participants = _model("Participant").objects.all()
        return self.annotate(
            audio_started_at=_over(participants, "call", Min("heard_at")),
            audio_ended_at=_over(participants, "call", Max("heard_until")),
        )

    def with_length(self) -> Self:
        """Annotates `length`: between the two moments of `with_audio_extent`, in one look at each
        call's participants.

        For a filter that may look at every call, where two looks cost twice as much.
        """
        between = ExpressionWrapper(
            Max("heard_until") - Min("heard_at"), output_field=DurationField()
        )
        return self.annotate(length=_over(_model("Participant").objects.all(), "call", between))

    def with_recording(self) -> Self:
        """Annotates `segment_count`, `stored_bytes`, `gap_count` and `gap_seconds` over all
        tracks.
        """
        segments = _model("Segment").objects.all()
        return self.annotate(
            segment_count=Coalesce(_over(segments, "participant__call", Count("*")), 0),
            stored_bytes=Coalesce(_over(segments, "participant__call", Sum("stored_bytes")), 0),
            gap_count=Coalesce(_over(_gaps(), "call", Count("*")), 0),
            gap_seconds=Coalesce(_over(_gaps(), "call", _SECONDS), 0.0),
        )

    def with_troubles(self) -> Self:
        """Annotates `gap_count`, `gap_seconds` and `alarm_count`. Index: ledger_of_call."""
        alarms = _model("LedgerEntry").objects.filter(kind="alarm")
        return self.annotate(
            gap_count=Coalesce(_over(_gaps(), "call", Count("*")), 0),
            gap_seconds=Coalesce(_over(_gaps(), "call", _SECONDS), 0.0),
            alarm_count=Coalesce(_over(alarms, "call", Count("*")), 0),
        )

    def for_rest(self, now: datetime) -> Self:
        """All that `calls.serializers.CallSerializer` shows, in three queries however many calls
        there are.

        Each call has `tracks` and `sockets`: its participants and subscriptions as lists, in the
        order of their models.
        """
        # Lists: a queryset for each call and relation, as prefetching makes else, took a quarter of
        # a page's time.
        tracks = Prefetch(
            "participants", _model("Participant").objects.with_lengths(), to_attr="tracks"
        )
        sockets = Prefetch("subscriptions", _subscriptions(), to_attr="sockets")
        return self.with_state(now).prefetch_related(tracks, sockets)

    def live(self, now: datetime) -> Self:
        """Calls with an open socket, or one closed within the grace time."""
        recently = now - timedelta(seconds=settings.RECONNECT_GRACE_SECONDS)
        vouched_since = min(now - SILENT_AFTER, recently)
        # One list of a few sockets, found by the indexes subscription_open and subscription_closed.
        live = Q(disconnected_at=None, seen_at__gt=vouched_since) | Q(disconnected_at__gt=recently)
        return self.filter(pk__in=_subscriptions().filter(live).order_by().values("call"))

    def of_participant(self, text: str) -> Self:
        """Calls with a participant whose raw id contains `text` (part of a number, or a whole raw
        id).
        """
        return self._with_parts({}, {"Participant": {"raw_id": text}})

    def holding(self, text: str, raw_id: str) -> Self:
        """Calls that have `text` in an identifier of ACS or in a participant's name, or `raw_id` in
        a raw id.
        """
        own = {"call_connection_id": text, "correlation_id": text}
        voice = {"raw_id": raw_id, "display_name": text}
        return self._with_parts(
            own, {"Participant": voice, "Subscription": {"subscription_id": text}}
        )

    def _with_parts(self, own: dict[str, str], others: dict[str, dict[str, str]]) -> Self:
        """Calls with one of these parts in a column of their own, or in one of a row of theirs, by
        the row's model.

        A part that is rare is found by its indexes, and the calls that have it are listed; one that
        is common is met soon whichever calls are looked at, so they are looked at one by one in the
        order that is wanted.
        """
        # One SELECT per column: for an OR the database would make the trigrams of every row again.
        found = [
            self.model.objects.filter(**{f"{column}__part": part}).values("pk")
            for column, part in own.items()
        ]
        for name, parts in others.items():
            rows = _model(name).objects
            found += [
                rows.filter(**{f"{column}__part": part}).values("call")
                for column, part in parts.items()
            ]
        if any(is_common(rows) for rows in found):
            return self._looked_at(own, others)
        first, *more = (rows.order_by() for rows in found)
        return self.filter(pk__in=first.union(*more) if more else first)

    def _looked_at(self, own: dict[str, str], others: dict[str, dict[str, str]]) -> Self:
        calls, wanted = self, _any_contains(own)
        for name, parts in others.items():
            rows = _model(name).objects.filter(_any_contains(parts), call=OuterRef("pk")).order_by()
            # Not EXISTS: a database may answer that for all calls at once, which is what takes long
            # here.
            calls = calls.annotate(**{f"_{name}": Subquery(rows.values("pk")[:1])})
            wanted |= Q(**{f"_{name}__isnull": False})
        return calls.filter(wanted)


class ParticipantQuerySet(QuerySet[Any]):
    def with_recording(self) -> Self:
        """Annotates `segment_count`, `stored_bytes`, `recorded_seconds`, `gap_count` and
        `gap_seconds` of the track.
        """
        segments = _model("Segment").objects.all()
        return self.annotate(
            segment_count=Coalesce(_over(segments, "participant", Count("*")), 0),
            stored_bytes=Coalesce(_over(segments, "participant", Sum("stored_bytes")), 0),
            recorded_seconds=Coalesce(_over(segments, "participant", _SECONDS), 0.0),
            gap_count=Coalesce(_over(_gaps(), "participant", Count("*")), 0),
            gap_seconds=Coalesce(_over(_gaps(), "participant", _SECONDS), 0.0),
        )

    def with_lengths(self) -> Self:
        """Annotates `recorded_seconds`, `gap_seconds` and `highest_rate` (Hz; None without
        segments) of the track.
        """
        segments = _model("Segment").objects.all()
        return self.annotate(
            recorded_seconds=Coalesce(_over(segments, "participant", _SECONDS), 0.0),
            gap_seconds=Coalesce(_over(_gaps(), "participant", _SECONDS), 0.0),
            highest_rate=_over(segments, "participant", Max("sample_rate")),
        )


class SegmentQuerySet(QuerySet[Any]):
    def on_axis(self) -> Self:
        """In the order of the track."""
        return self.order_by(F("start_sample").asc())


_SECONDS = Sum(F("sample_count") * 1.0 / F("sample_rate"), output_field=FloatField())
"""Length of segments or gaps, each at its own rate."""


def _over(
    rows: QuerySet[Any], owner: str, aggregate: Aggregate | ExpressionWrapper[Any]
) -> Subquery:
    """The aggregate over those `rows` whose `owner` is the row asked about; NULL where there are
    none.
    """
    of_owner = rows.filter(**{owner: OuterRef("pk")}).order_by().values(owner)
    return Subquery(of_owner.annotate(_total=aggregate).values("_total"))


def _any_contains(parts: dict[str, str]) -> Q:
    return reduce(or_, (Q(**{f"{column}__icontains": part}) for column, part in parts.items()), Q())


def _gaps() -> QuerySet[Any]:
    gaps: QuerySet[Any] = _model("LedgerEntry").objects.filter(kind="gap")
    return gaps


def _subscriptions() -> SubscriptionQuerySet:
    queryset: SubscriptionQuerySet = _model("Subscription").objects.all()
    return queryset


def _model(name: str) -> Any:
    return apps.get_model("calls", name)
