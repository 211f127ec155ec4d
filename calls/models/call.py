"""The call: one call connection over all its sockets. Its state is derived, and never stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
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
from django.db.models.functions import Coalesce, Now
from django.urls import reverse

from calls.close_codes import GOOD_CLOSE_CODES
from calls.identity import CANARY_PREFIX
from calls.lookups import is_common
from calls.models.aggregates import missing_seconds, total_of
from calls.models.coverage.call_coverage import CallCoverage
from calls.models.coverage.canary import CanaryRun
from calls.models.ledger import LedgerEntry
from calls.models.participant import Participant
from calls.models.segment import Segment
from calls.models.subscription import BROKEN, Subscription
from calls.wording import CALL_STATES

Parts = dict[str, tuple[str, ...]]
"""Column -> texts, of which it contains one."""

RelatedParts = dict[type[Participant] | type[Subscription], Parts]
"""By model with a foreign key to the call."""


class CallQuerySet(models.QuerySet["Call"]):
    def canaries(self) -> Self:
        """Selects canary calls. Index: call_connection_id, for a day of runs."""
        runs = CanaryRun.objects.with_calls().order_by()
        return self.filter(call_connection_id__in=runs.values("call_connection_id"))

    def without_canaries(self) -> Self:
        """Leaves out canary calls: at most some hundreds, which a list skips while it reads."""
        return self.exclude(call_connection_id__startswith=CANARY_PREFIX)

    def showing_canaries(self, which: str) -> Self:
        """Selects the calls of a list: `which` is a value of `calls.search.CANARIES`."""
        if which == "only":
            return self.canaries()
        return self if which == "shown" else self.without_canaries()

    def with_state(self, now: datetime | Now) -> Self:
        """Annotates `state` ("live", "ended", "interrupted") and `ended_at` (None while live).

        `now`: `database_now()`. The socket that connected last decides, because it has replaced the
        others. An event of ACS ends a call at once; a socket that was open then was not broken.
        """
        of_call = Subscription.objects.filter(call=OuterRef("pk"))
        last = of_call.latest_first()
        # Aliases: each column of the result would be one more copy of these subqueries.
        described = self.alias(
            _live=Exists(of_call.live(now)),
            _last_end=_moment(last.with_call_end(), "call_end"),
            _last_code=Subquery(last.values("close_code")[:1]),
            _reported_end=_moment(last.with_reported_end(), "reported_end"),
        )
        state = Case(
            When(_live=True, then=Value("live")),
            When(_last_code__in=GOOD_CLOSE_CODES, then=Value("ended")),
            When(_reported_end__isnull=False, then=Value("ended")),
            default=Value("interrupted"),
            output_field=CharField(),
        )
        ended_at = Case(
            When(_live=True, then=None),
            default=Coalesce("_last_end", "started_at"),
            output_field=DateTimeField(),
        )
        return described.annotate(state=state, ended_at=ended_at)

    def in_state(self, state: str, now: datetime | Now) -> Self:
        """Selects calls in `state`; needs `with_state`.

        The two rare states, live and interrupted, are found through their sockets.
        """
        if state == "live":
            return self.live(now).filter(state=state)
        calls = self
        if state == "interrupted":
            broken = Subscription.objects.filter(BROKEN)
            calls = self.filter(pk__in=broken.order_by().values("call"))
        # Not `state=state`: Postgres expects few rows of an equality with an expression. It would
        # derive the state of all of them before it sorts, not of the newest until a page is full.
        others = [other for other in CALL_STATES if other != state]
        return calls.exclude(state__in=others)

    def live(self, now: datetime | Now) -> Self:
        """Selects calls with an open socket, or one closed within the grace time."""
        return self.filter(pk__in=Subscription.objects.live(now).order_by().values("call"))

    def with_audio_extent(self) -> Self:
        """Annotates `audio_started_at` and `audio_ended_at`: first and last sealed moment of any
        track.
        """
        participants = Participant.objects.all()
        return self.annotate(
            audio_started_at=total_of(participants, "call", Min("heard_at")),
            audio_ended_at=total_of(participants, "call", Max("heard_until")),
        )

    def with_length(self) -> Self:
        """Annotates `length`: the time between the two moments of `with_audio_extent`.

        One subquery, for filters that may read every call: two would cost twice as much.
        """
        between = ExpressionWrapper(
            Max("heard_until") - Min("heard_at"), output_field=DurationField()
        )
        return self.annotate(length=total_of(Participant.objects.all(), "call", between))

    def with_recording(self) -> Self:
        """Annotates `segment_count` and `stored_bytes` over all tracks, and as `with_gaps`."""
        segments = Segment.objects.all()
        return self.with_gaps().annotate(
            segment_count=Coalesce(total_of(segments, "participant__call", Count("*")), 0),
            stored_bytes=Coalesce(total_of(segments, "participant__call", Sum("stored_bytes")), 0),
        )

    def with_gaps(self) -> Self:
        """Annotates `gap_count`, over all tracks, and `gap_seconds`: the time in which audio of at
        least one track is missing. Index: ledger_of_call.
        """
        gaps = LedgerEntry.objects.gaps()
        return self.annotate(
            gap_count=Coalesce(total_of(gaps, "call", Count("*")), 0),
            gap_seconds=missing_seconds(),
        )

    def with_troubles(self) -> Self:
        """Annotates `alarm_count` and `active_alarm_count`, which are among them, and as
        `with_gaps`. Index: ledger_of_call.
        """
        active = LedgerEntry.objects.active_alarms()
        alarms = LedgerEntry.objects.filter(kind="alarm")
        return self.with_gaps().annotate(
            alarm_count=Coalesce(total_of(alarms, "call", Count("*")), 0),
            active_alarm_count=Coalesce(total_of(active, "call", Count("*")), 0),
        )

    def for_rest(self, now: datetime | Now) -> Self:
        """Loads all that `calls.serializers.CallSerializer` shows, in three queries for any number
        of calls.

        Each call has the lists `tracks` (participants) and `sockets` (subscriptions), in the order
        of their models.
        """
        # Lists (`to_attr`): a query set per call and relation took a quarter of a page's time.
        tracks = Prefetch("participants", Participant.objects.with_lengths(), to_attr="tracks")
        sockets = Prefetch("subscriptions", Subscription.objects.all(), to_attr="sockets")
        return self.with_state(now).with_links().prefetch_related(tracks, sockets)

    def with_links(self) -> Self:
        """Annotates `continued_from` and `continued_in`: the ids of the calls before and after it
        with the same connection id, None if there is none, or it is deleted.
        """
        others = Call.objects.order_by().values("pk")
        return self.annotate(
            continued_from=Subquery(others.filter(pk=OuterRef("continued_from_id"))),
            continued_in=Subquery(others.filter(pk=OuterRef("continued_in_id"))),
        )

    def with_verdict(self) -> Self:
        """Annotates `verdict`, that of the coverage; "unknown" until the call is judged. Indexes:
        coverage_of_connection, coverage_of_call.
        """
        rows = CallCoverage.objects.order_by().values("verdict")
        named = rows.filter(call_connection_id=OuterRef("call_connection_id"))
        return self.annotate(
            verdict=Coalesce(
                Subquery(named.exclude(call_connection_id="")[:1]),
                Subquery(rows.filter(call_id=OuterRef("pk"))[:1]),
                Value("unknown"),
            )
        )

    def with_active_alarms(self, now: datetime | Now) -> Self:
        """Loads the active alarms of live calls as the list `active_alarms`, oldest first."""
        # Of live calls only: a host that was lost leaves alarms without an end.
        live = Subscription.objects.live(now).order_by().values("call")
        alarms = LedgerEntry.objects.active_alarms().filter(call__in=live)
        return self.prefetch_related(Prefetch("ledger", alarms, to_attr="active_alarms"))

    def of_participant(self, *raw_ids: str) -> Self:
        """Selects calls with a participant whose raw id contains one of the texts: part of a
        number, or a whole raw id.
        """
        return self._containing({}, {Participant: {"raw_id": raw_ids}})

    def holding(self, text: str, *raw_ids: str) -> Self:
        """Selects calls with `text` in an ACS identifier or a participant's name, or with one of
        `raw_ids` in a raw id.
        """
        return self._containing(
            {"call_connection_id": (text,), "correlation_id": (text,)},
            {
                Participant: {"raw_id": raw_ids, "display_name": (text,)},
                Subscription: {"subscription_id": (text,)},
            },
        )

    def _containing(self, own: Parts, related: RelatedParts) -> Self:
        """Selects calls with a part in one of their columns (`own`), or in one of a related row.

        Rare parts are found by their trigram indexes, which list all matching calls. If a part is
        common, calls are checked one by one in the order of the query: the first matches come soon.
        """
        # One SELECT per column: for an OR the database would make the trigrams of every row again.
        found: list[models.QuerySet[Any, Any]] = [
            self.model.objects.filter(**{f"{column}__part": part}).values("pk")
            for column, part in _each(own)
        ]
        for model, parts in related.items():
            found += [
                model.objects.filter(**{f"{column}__part": part}).values("call")
                for column, part in _each(parts)
            ]
        if any(is_common(rows) for rows in found):
            return self._containing_one_by_one(own, related)
        first, *more = (rows.order_by() for rows in found)
        return self.filter(pk__in=first.union(*more) if more else first)

    def _containing_one_by_one(self, own: Parts, related: RelatedParts) -> Self:
        calls, wanted = self, _any_contains(own)
        for model, parts in related.items():
            rows = model.objects.filter(_any_contains(parts), call=OuterRef("pk")).order_by()
            # Not EXISTS: a database may evaluate it for all calls at once, which takes long here.
            name = f"_{model.__name__}"
            calls = calls.annotate(**{name: Subquery(rows.values("pk")[:1])})
            wanted |= Q(**{f"{name}__isnull": False})
        return calls.filter(wanted)


class Call(models.Model):
    """One call connection of ACS. `CallQuerySet.with_state` derives its state."""

    if TYPE_CHECKING:  # annotations and prefetches of CallQuerySet
        state: str
        ended_at: datetime | None
        audio_started_at: datetime | None
        audio_ended_at: datetime | None
        length: timedelta | None
        segment_count: int
        stored_bytes: int
        gap_count: int
        gap_seconds: float
        alarm_count: int
        active_alarm_count: int
        verdict: str
        active_alarms: list[LedgerEntry]
        tracks: list[Participant]
        sockets: list[Subscription]
        continued_from: UUID | None
        continued_in: UUID | None

    id = models.UUIDField(primary_key=True, editable=False)
    call_connection_id = models.CharField(max_length=256, blank=True)
    correlation_id = models.CharField(max_length=256, blank=True)
    started_at = models.DateTimeField(help_text="When the first socket of the call was accepted.")
    # No foreign keys: adding one to a large table takes a lock while all rows are checked.
    # `CallQuerySet.for_rest` leaves out calls that have been deleted.
    continuation = models.IntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Number of ended calls with the same connection id before this one.",
    )
    continued_from_id = models.UUIDField(
        null=True, editable=False, help_text="The ended call before it."
    )
    continued_in_id = models.UUIDField(
        null=True, editable=False, help_text="The call that began after it had ended."
    )

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        permissions = [
            # In addition to Django's own: `view_call` opens the dashboard, lists, pages of calls,
            # and all of REST except audio.
            ("listen_live", "Can listen in on live calls"),
            ("hear_recording", "Can hear recordings: the player, and audio in REST"),
            ("export_recording", "Can download recordings, many at once, and lists of calls"),
            # Instead of all others: the account of `manage.py canary`.
            ("read_canaries", "Can read canary calls in REST, and no other calls"),
        ]
        indexes = [
            # REST and admin lists: newest first, by cursor; filters started_after, started_before.
            models.Index(fields=["-started_at", "-id"], name="call_newest_first"),
            # REST filter and admin search by exact id.
            models.Index(fields=["call_connection_id"], name="call_connection_id"),
            models.Index(fields=["correlation_id"], name="call_correlation_id"),
        ]

    def __str__(self) -> str:
        return self.call_connection_id or str(self.id)

    def get_absolute_url(self) -> str:
        """Returns the address of the call's page, which the admin links to."""
        return reverse("call", args=[self.pk])


def _moment(sockets: QuerySet[Any], name: str) -> Subquery:
    """Returns a time of the first of these sockets."""
    return Subquery(sockets.values(name)[:1], output_field=DateTimeField())


def _each(parts: Parts) -> list[tuple[str, str]]:
    return [(column, part) for column, texts in parts.items() for part in texts]


def _any_contains(parts: Parts) -> Q:
    return reduce(or_, (Q(**{f"{column}__icontains": part}) for column, part in _each(parts)), Q())
