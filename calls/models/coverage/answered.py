"""The answered call: an incoming call that acsmedia answers, once (docs/answering.md)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class AnsweredCall(models.Model):
    """One incoming call that a rule of ACS_ANSWER wants answered.

    The id is derived from the call's context, so an event that is repeated, or that two processes
    get, is one row. The process that inserts it answers.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, editable=False)
    event_id = models.UUIDField(help_text="The `CallEvent` that reported it.")
    correlation_id = models.CharField(max_length=256, blank=True)
    call_connection_id = models.CharField(max_length=256, blank=True)
    received_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    claimed_until = models.DateTimeField(
        help_text="Until then, one process attempts it; afterwards another one may."
    )
    finished_at = models.DateTimeField(null=True)
    reason = models.CharField(
        max_length=64, blank=True, help_text="A key of ANSWER_FAILURES in calls/wording.py."
    )

    class Meta:
        ordering = ["-received_at", "-id"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="answered_newest_first"),
            # The job that goes on where a process died.
            models.Index(
                fields=["claimed_until"], name="answered_waiting", condition=Q(state="waiting")
            ),
        ]

    def __str__(self) -> str:
        return self.call_connection_id or str(self.id)
