"""The audit entry: an actor, an action, a call, the time and the reason."""

from __future__ import annotations

from django.db import models


class Action(models.TextChoices):
    """The kinds of entries. No `choices` of the column, so that a new action needs no migration."""

    VIEWED = "viewed", "Viewed"
    HEARD = "heard", "Heard"
    HEARD_UNTIL = "heard_until", "Heard until"
    DOWNLOADED = "downloaded", "Downloaded"
    EXPORTED = "exported", "Exported"
    LISTENED_LIVE = "listened_live", "Listened live"
    CHANGED = "changed", "Changed"
    DELETED = "deleted", "Deleted"
    HELD = "held", "Legal hold set"
    HOLD_LIFTED = "hold_lifted", "Legal hold lifted"
    ERASED = "erased", "Erased"
    PAUSED = "paused", "Recording paused"
    RESUMED = "resumed", "Recording resumed"
    LOGGED_IN = "logged_in", "Logged in"
    LOGIN_FAILED = "login_failed", "Login failed"
    LOGGED_OUT = "logged_out", "Logged out"
    REFUSED = "refused", "Refused"
    PERMISSIONS_CHANGED = "permissions_changed", "Permissions changed"
    SETTINGS_CHANGED = "settings_changed", "Settings changed"
    POLICY_CHANGED = "policy_changed", "Retention policy changed"
    SEALED = "sealed", "Evidence signed"


class ActorKind(models.TextChoices):
    """How somebody, or something, acted."""

    USER = "user", "User"
    KEY = "key", "Key of REST"
    COMMAND = "command", "Management command"
    SYSTEM = "system", "System"


class AuditEntry(models.Model):
    """One entry of the chain. The database refuses to change or delete it.

    Write it with `calls.audit.trail.record` only: that gives it its place and its hash.
    """

    number = models.BigIntegerField(primary_key=True, help_text="The place in the chain, from 1.")
    at = models.DateTimeField(help_text="By the clock of the database.")
    actor_kind = models.CharField(max_length=16, choices=ActorKind)
    actor_name = models.CharField(max_length=256, blank=True)
    actor_id = models.CharField(max_length=64, blank=True, help_text="The id of the user.")
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=32, help_text="A value of `Action`.")
    call = models.UUIDField(null=True, help_text="No foreign key: calls are deleted, this is not.")
    call_connection_id = models.CharField(max_length=256, blank=True)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-number"]
        default_permissions = ("view",)
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["call", "number"], name="audit_of_call"),
            models.Index(fields=["actor_name", "number"], name="audit_of_actor"),
            models.Index(fields=["action", "number"], name="audit_of_action"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.actor_name} {self.action}"
