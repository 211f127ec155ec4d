"""The answered call: an incoming call that acsmedia answers, once (docs/answering.md)."""

from __future__ import annotations

from django.db import models


class AnsweredCall(models.Model):
    """One incoming call that a rule of ACS_ANSWER wants answered.

    The id is derived from the call's context, so an event that is repeated, or that two processes
    get, is one row. The process that claims it answers.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, editable=False)
    event_id = models.UUIDField(help_text="The `CallEvent` that reported it.")
    correlation_id = models.CharField(max_length=256, blank=True)
    call_connection_id = models.CharField(max_length=256, blank=True)
    began_at = models.DateTimeField(help_text="When it began to ring.")
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    claim_id = models.UUIDField(null=True, help_text="The process that attempts it, this time.")
    claimed_until = models.DateTimeField(
        help_text="Until then, one process attempts it; afterwards another one may."
    )
    finished_at = models.DateTimeField(null=True)
    reason = models.CharField(
        max_length=64, blank=True, help_text="A key of ANSWER_FAILURES in calls/wording.py."
    )

    class Meta:
        ordering = ["-began_at", "-id"]
        default_permissions = ()  # `view_call` shows them, like calls
        indexes = [
            # Admin list; the job that deletes old ones.
            models.Index(fields=["-began_at", "-id"], name="answered_newest_first"),
            # Deletion of a call.
            models.Index(fields=["call_connection_id"], name="answered_of_connection"),
            models.Index(fields=["correlation_id"], name="answered_of_correlation"),
        ]

    def __str__(self) -> str:
        return self.call_connection_id or str(self.id)
