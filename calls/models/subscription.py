"""The subscription: one AudioMetadata on one media socket."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import connection, models
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Least, Now
from django.utils import timezone

from calls.close_codes import END_TOLERANCE, GOOD_CLOSE_CODES
from calls.models.aggregates import total_of
from calls.models.coverage.event import CallEvent
from calls.models.segment import Segment

BROKEN = ~Q(close_code__in=GOOD_CLOSE_CODES)
"""Sockets without a normal close code, open ones included. Few rows; index: subscription_broken."""

COUNTS = ("audio", "dtmf", "unknown", "malformed", "duplicate", "late", "odd_timestamp")
"""Counters of a subscription, in the order of REST."""

HEARTBEAT_TIMEOUT = timedelta(seconds=45)
"""An open subscription whose `seen_at` is older is not live: its process or host has died. The
sealer renews `seen_at` every 5 s while the database answers.
"""

LOST = timedelta(days=1)
"""A socket that nobody has ended, and nobody has vouched for this long: its host is lost."""

CLOCK_TOLERANCE = timedelta(seconds=30)
"""How far the clocks of two hosts may differ. A moment that is further in the future was written
before a clock was set back, so it says nothing about the present: the heartbeat of a process that
lives is written again within seconds.
"""


def database_now() -> datetime | Now:
    """Returns the present for `CallQuerySet` and the heartbeat: on Postgres by the database's
    clock, which all hosts share.
    """
    return Now() if connection.vendor == "postgresql" else timezone.now()


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def open(self, now: datetime | Now) -> Self:
        """Selects sockets that a living process holds open. Index: subscription_open."""
        return self.filter(_open_since(now, HEARTBEAT_TIMEOUT))

    def live(self, now: datetime | Now) -> Self:
        """Selects sockets that are open, or were within the grace time, of calls that have not
        ended since they connected, as ACS says. Indexes: subscription_open, subscription_closed.
        """
        closed = Q(disconnected_at__gt=now - _grace(), disconnected_at__lt=now + CLOCK_TOLERANCE)
        recent = self.filter(_open_since(now, max(HEARTBEAT_TIMEOUT, _grace())) | closed)
        named = OuterRef("call__call_connection_id"), OuterRef("call__correlation_id")
        return recent.exclude(Exists(_reported_ends(*named)))

    def with_reported_end(self) -> Self:
        """Annotates `reported_end`: when ACS says that the call has ended while this socket was
        open, None otherwise. For a subquery of a query of calls.
        """
        return self._ending_at(reported_end=_first_reported_end())

    def with_call_end(self) -> Self:
        """Annotates `call_end`: `reported_end` or the end of the socket, whichever was earlier.
        Needs `latest_first`. For a subquery of a query of calls.
        """
        return self._ending_at(call_end=Coalesce(_first_reported_end(), "end"))

    def _ending_at(self, **end: Subquery | Coalesce) -> Self:
        open_until = Case(
            When(disconnected_at=None, then=F("seen_at") + HEARTBEAT_TIMEOUT),
            default=F("disconnected_at") + END_TOLERANCE,
            output_field=DateTimeField(),
        )
        return self.alias(open_until=open_until).annotate(**end)

    def unfinished(self, now: datetime | Now) -> Self:
        """Selects sockets that no recorder has ended: one may still write rows, however late its
        heartbeat is and whatever the clocks say. Index: subscription_open.
        """
        return self.filter(disconnected_at=None, seen_at__gt=now - LOST)

    def not_over(self, now: datetime | Now | CombinedExpression) -> Self:
        """Selects sockets that keep their call open for later ones: nobody has ended them, or they
        ended within the grace time. Indexes: subscription_open, subscription_of_call.

        The end is by the clock of the recorder's host. If that contradicts the clock of the
        database, the moment at which the end became a row counts instead.
        """
        begin = now - _grace()
        agrees = Q(end_seen_at=None) | Q(
            disconnected_at__gte=F("seen_at"), disconnected_at__lte=F("end_seen_at")
        )
        unfinished = Q(disconnected_at=None, seen_at__gt=now - LOST)
        ended = agrees & Q(disconnected_at__gt=begin) | ~agrees & Q(end_seen_at__gt=begin)
        return self.filter(unfinished | ended)

    def latest_first(self) -> Self:
        """Orders the sockets of a call: the one that connected last comes first.

        Rows of versions that did not write `position` are older than all others. Of a socket's
        rows only the last one has a close code; it may end when the one before it does, if their
        messages were held up and arrived at once.
        """
        end = Coalesce("disconnected_at", "seen_at")
        return self.annotate(end=end).order_by(
            F("position").desc(nulls_last=True), "-end", F("close_code").desc(nulls_last=True)
        )

    def with_segment_count(self) -> Self:
        count = total_of(Segment.objects.all(), "subscription", Count("*"))
        return self.annotate(segment_count=Coalesce(count, 0))


def _reported_ends(call_connection_id: OuterRef, correlation_id: OuterRef) -> QuerySet[CallEvent]:
    """Returns the ends that ACS has reported of a socket's call since it connected: a subquery.

    An event cannot have happened after it was received, whatever the sender's clock says.
    """
    since = OuterRef("connected_at")
    ends = CallEvent.objects.ends_of(call_connection_id, correlation_id)
    return ends.filter(occurred_at__gte=since, received_at__gte=since)


def _first_reported_end() -> Subquery:
    """Returns the first of `_reported_ends` until `open_until`, not later than the socket's own
    end: a subquery for `SubscriptionQuerySet._ending_at`.
    """
    # The ids come from the query of calls: a join for each call took a third of the time.
    named = OuterRef(OuterRef("call_connection_id")), OuterRef(OuterRef("correlation_id"))
    ends = _reported_ends(*named).filter(occurred_at__lte=OuterRef("open_until"))
    # SQLite's least of a time and NULL is NULL.
    at = Coalesce(Least("occurred_at", OuterRef("disconnected_at")), "occurred_at")
    first = ends.order_by("occurred_at").values(at=at)[:1]
    return Subquery(first, output_field=DateTimeField())


def _grace() -> timedelta:
    return timedelta(seconds=settings.RECONNECT_GRACE_SECONDS)


def _open_since(now: datetime | Now, age: timedelta) -> Q:
    return Q(disconnected_at=None, seen_at__gt=now - age, seen_at__lt=now + CLOCK_TOLERANCE)


class Subscription(models.Model):
    """One AudioMetadata on one socket: the announced format, the times of the socket, its close
    code and its message counts.
    """

    if TYPE_CHECKING:  # annotations of SubscriptionQuerySet
        segment_count: int

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey("calls.Call", on_delete=models.CASCADE, related_name="subscriptions")
    stream_id = models.UUIDField(
        help_text="The socket. A second AudioMetadata makes a second subscription on it."
    )
    subscription_id = models.CharField(
        max_length=256, blank=True, help_text="ACS's subscriptionId."
    )
    encoding = models.CharField(max_length=32, blank=True)
    sample_rate = models.PositiveIntegerField(null=True, blank=True, help_text="Hz")
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    length = models.FloatField(null=True, blank=True, help_text="Bytes per packet, as announced.")
    position = models.IntegerField(
        null=True,
        editable=False,
        help_text="Order of the sockets of a call, counted when they become rows: clocks may step.",
    )
    connected_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When a process last vouched that the socket is open.")
    disconnected_at = models.DateTimeField(null=True, blank=True)
    end_seen_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When its end became a row, on Postgres by the clock of the database.",
    )
    close_code = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: it broke, or our process died."
    )
    audio = models.PositiveBigIntegerField(default=0, help_text="Valid audio packets.")
    dtmf = models.PositiveBigIntegerField(default=0)
    unknown = models.PositiveBigIntegerField(default=0)
    malformed = models.PositiveBigIntegerField(default=0)
    duplicate = models.PositiveBigIntegerField(default=0, help_text="Exact duplicates, dropped.")
    late = models.PositiveBigIntegerField(
        default=0, help_text="Packets that came after a younger one."
    )
    # A column with a check would be added under a lock for as long as a scan of the table takes;
    # `db_default` is for processes of the version before, which insert rows without it.
    odd_timestamp = models.BigIntegerField(
        default=0, db_default=0, help_text="Packets whose timestamp could not be read."
    )
    # A column without a default is added in a moment, and processes of the version before leave it.
    clock = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="What the socket knew last of the clocks of sender and recorder, for the next.",
    )

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = [F("position").asc(nulls_first=True), "connected_at", "id"]
        indexes = [
            # CallQuerySet.with_state and the sockets of a call.
            models.Index(fields=["call", "connected_at"], name="subscription_of_call"),
            # The heartbeat and the close of a socket.
            models.Index(fields=["stream_id"], name="subscription_stream"),
            # state=live, dashboard snapshot: a few rows out of millions.
            models.Index(
                fields=["seen_at"], name="subscription_open", condition=Q(disconnected_at=None)
            ),
            models.Index(fields=["disconnected_at"], name="subscription_closed"),
            # Admin list: newest first.
            models.Index(fields=["-connected_at"], name="subscription_newest_first"),
            # state=interrupted: few out of millions.
            models.Index(fields=["call"], name="subscription_broken", condition=BROKEN),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(disconnected_at=None) | Q(disconnected_at__gte=F("connected_at")),
                name="subscription_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return self.subscription_id or str(self.id)

    @property
    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTS}
