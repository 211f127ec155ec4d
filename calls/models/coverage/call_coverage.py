"""The coverage of a call: expected time compared with recorded time."""

from __future__ import annotations

from uuid import UUID, uuid5

from django.db import models

from calls import identity


def coverage_id_of(
    call_connection_id: str, correlation_id: str, call_id: UUID | None = None
) -> UUID:
    """Returns the id of the coverage of a call connection. Without a connection id it is that of
    the correlation id, and is joined to the connection's once a witness names both. A recording
    with neither is a call by itself.
    """
    if call_connection_id:
        return uuid5(identity.NAMESPACE, f"coverage:{call_connection_id}")
    if correlation_id:
        return uuid5(identity.NAMESPACE, f"coverage-of-correlation:{correlation_id}")
    assert call_id, "a witness names the call"
    return uuid5(call_id, "coverage")


COUNTED = ~models.Q(call_connection_id__startswith=identity.CANARY_PREFIX)
"""Selects coverage of all calls but canary calls, which are never counted."""


class CallCoverage(models.Model):
    """One call that took place by at least one witness: a socket, an event, a statement of another
    system, or a refused handshake. A row is judged again whenever something new is known.
    """

    class Verdict(models.TextChoices):
        COMPLETE = "complete", "Recorded"
        PARTIAL = "partial", "Partly recorded"
        MISSING = "missing", "Not recorded"
        UNEXPECTED = "unexpected", "Recorded, but not expected"
        UNKNOWN = "unknown", "Not judged yet"

    id = models.UUIDField(primary_key=True, editable=False)
    call_connection_id = models.CharField(max_length=256, blank=True)
    correlation_id = models.CharField(max_length=256, blank=True)
    call_id = models.UUIDField(null=True, help_text="The recording: the first call of its chain.")
    started_at = models.DateTimeField(help_text="Of the earliest witness.")
    ended_at = models.DateTimeField(null=True)
    verdict = models.CharField(
        max_length=16, choices=Verdict.choices, default=Verdict.UNKNOWN, db_default="unknown"
    )
    expected_seconds = models.FloatField(default=0.0)
    recorded_seconds = models.FloatField(default=0.0)
    missing_seconds = models.FloatField(default=0.0)
    participants_expected = models.PositiveIntegerField(null=True)
    participants_recorded = models.PositiveIntegerField(default=0)
    is_refused = models.BooleanField(
        default=False, db_default=False, help_text="Audio is missing because ACS was refused."
    )
    more_than_four = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Unmixed audio has at most four voices at a time: one may be missing by design.",
    )
    facts = models.JSONField(
        default=dict, help_text="What each witness says, and what differs: times, participants."
    )
    due_at = models.DateTimeField(null=True, help_text="When to judge it next; null: not needed.")
    judged_at = models.DateTimeField(null=True, help_text="When this verdict was reached.")
    notify = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Tell other systems of its verdicts: not of calls older than the coverage.",
    )

    class Meta:
        ordering = ["-started_at", "-id"]
        verbose_name = "coverage of a call"
        verbose_name_plural = "coverage of calls"
        default_permissions = ("view",)
        indexes = [
            # The page and REST: calls of a range of time, newest first.
            models.Index(fields=["-started_at", "-id"], name="coverage_newest_first"),
            # Sums of the page and of REST, from the index alone: `facts` makes the rows long.
            models.Index(
                fields=["started_at"],
                include=[
                    *("verdict", "expected_seconds", "recorded_seconds"),
                    *("is_refused", "more_than_four"),
                ],
                name="coverage_sums",
                condition=COUNTED,
            ),
            # Rows that are not complete: few.
            models.Index(
                fields=["-started_at", "-id"],
                name="coverage_faults",
                condition=~models.Q(verdict="complete"),
            ),
            # The job that judges.
            models.Index(
                fields=["due_at"], name="coverage_due", condition=models.Q(due_at__isnull=False)
            ),
            # Verdicts in lists of calls.
            models.Index(fields=["call_id"], name="coverage_of_call"),
            models.Index(fields=["call_connection_id"], name="coverage_of_connection"),
            models.Index(fields=["correlation_id"], name="coverage_of_correlation"),
        ]

    def __str__(self) -> str:
        return self.call_connection_id or self.correlation_id or str(self.id)


class MissingTime(models.Model):
    """Time of a call that was expected and not recorded, with one reason."""

    coverage = models.ForeignKey(CallCoverage, on_delete=models.CASCADE, related_name="missing")
    reason = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    seconds = models.FloatField()

    class Meta:
        ordering = ["started_at", "id"]
        default_permissions = ()
        indexes = [models.Index(fields=["started_at"], name="missing_time_started")]

    def __str__(self) -> str:
        return f"{self.reason} {self.seconds:.1f} s"


class MissingTotal(models.Model):
    """All missing seconds of one reason that were ever found, for a counter that never goes down: a
    verdict that is replaced by a better one subtracts nothing.
    """

    reason = models.CharField(max_length=64, primary_key=True)
    seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ["reason"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.reason} {self.seconds:.1f} s"


class FormerVerdict(models.Model):
    """A verdict that a later one replaced, with the facts that it was based on."""

    coverage = models.ForeignKey(CallCoverage, on_delete=models.CASCADE, related_name="former")
    verdict = models.CharField(max_length=16, choices=CallCoverage.Verdict.choices)
    expected_seconds = models.FloatField()
    recorded_seconds = models.FloatField()
    missing_seconds = models.FloatField()
    facts = models.JSONField(default=dict)
    judged_at = models.DateTimeField()
    replaced_at = models.DateTimeField()

    class Meta:
        ordering = ["judged_at", "id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.verdict} until {self.replaced_at:%Y-%m-%d %H:%M}"
