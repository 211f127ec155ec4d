"""The legal hold: as long as it is in force, nothing deletes the calls that it covers."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from django.db import models
from django.db.models import Q

from calls.identity import RAW_ID_MAX_LENGTH


class LegalHoldQuerySet(models.QuerySet["LegalHold"]):
    def in_force(self) -> Self:
        return self.filter(lifted_at=None)


class LegalHold(models.Model):
    """A hold on the calls of its `HeldCall` rows and on all calls, present and future, of `number`.

    A lifted hold stays as a row. Users are stored by name: the row outlives their accounts.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=128, help_text="Such as the name of the case.")
    reason = models.TextField(max_length=2000)
    number = models.CharField(
        max_length=RAW_ID_MAX_LENGTH,
        blank=True,
        help_text='Raw id of a participant, such as "4:+15552000002"; "" for a hold by call.',
    )
    set_by = models.CharField(max_length=150)
    set_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=150, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lift_reason = models.TextField(max_length=2000, blank=True)

    objects = LegalHoldQuerySet.as_manager()

    class Meta:
        ordering = ["-set_at", "-id"]
        default_permissions = ("view",)
        permissions = [
            ("set_legalhold", "Can set legal holds"),
            ("lift_legalhold", "Can lift legal holds"),
        ]
        indexes = [
            # Is a number held? Asked for the participants of each call before it is deleted.
            models.Index(fields=["number"], name="hold_in_force", condition=Q(lifted_at=None)),
            models.Index(fields=["-set_at", "-id"], name="hold_newest_first"),
        ]

    def __str__(self) -> str:
        return self.name


class HeldCall(models.Model):
    """A call that a hold covers. No foreign key to `Call`: the row of a lifted hold outlives it."""

    hold = models.ForeignKey(LegalHold, on_delete=models.PROTECT, related_name="held_calls")
    call_id = models.UUIDField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["call_id", "hold"], name="held_call_once")]

    def __str__(self) -> str:
        return str(self.call_id)
