"""The alarm as a row, so that people and other systems can be told of it once."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class RaisedAlarm(models.Model):
    """An alarm of a call, of a recording process, or of the installation (coverage, canary).

    The id is derived from origin, name and beginning, so that a repeated report is the same row.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=64, help_text="A key of ALARMS in calls/wording.py.")
    origin = models.CharField(
        max_length=64, help_text="Who reports it: the id of a process, or the name of a job."
    )
    call_id = models.UUIDField(null=True)
    participant_id = models.UUIDField(null=True)
    raised_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When its origin last reported it.")
    cleared_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    snoozed_until = models.DateTimeField(null=True)
    history = models.JSONField(
        default=list, help_text="What users did about it: `at`, `user`, `action`, `until`."
    )
    mail_claimed_at = models.DateTimeField(
        null=True, help_text="When a process began to send a mail about it."
    )
    mailed_at = models.DateTimeField(null=True, help_text="When a mail about it was sent.")
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-raised_at", "-id"]
        default_permissions = ("view", "change")
        indexes = [
            models.Index(fields=["-raised_at", "-id"], name="raised_alarm_newest_first"),
            models.Index(
                fields=["name"], name="raised_alarm_active", condition=models.Q(cleared_at=None)
            ),
            models.Index(fields=["call_id"], name="raised_alarm_of_call"),
        ]

    def __str__(self) -> str:
        return self.name
