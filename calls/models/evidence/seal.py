"""Seals of calls: the root of everything that was recorded, signed, in versions."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import models

from calls.models.subscription import database_now


class CallSeal(models.Model):
    """One version of a call's evidence. `statement` is the text that is signed, and names the
    version before it. A row is never changed; no foreign key, because it outlives the call.
    """

    call_id = models.UUIDField()
    version = models.PositiveIntegerField(help_text="From 1; a change of the call adds one.")
    root = models.CharField(max_length=64, help_text="Root of the Merkle tree, hexadecimal.")
    leaf_count = models.PositiveIntegerField()
    statement = models.TextField(help_text="What is signed: JSON.")
    signature = models.CharField(max_length=128, blank=True, help_text="Empty: not signed.")
    key_id = models.CharField(max_length=64, blank=True, help_text="Fingerprint of the key.")
    predecessor = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the statement of the version before."
    )
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["call_id", "version"]
        default_permissions = ()
        constraints = [
            # Also the index for the versions of a call.
            models.UniqueConstraint(fields=["call_id", "version"], name="seal_one_per_version"),
        ]

    def __str__(self) -> str:
        return f"{self.call_id} version {self.version}"


class CallSealDueQuerySet(models.QuerySet["CallSealDue"]):
    def mark(self, call_ids: Collection[UUID]) -> None:
        """Marks calls to be sealed, or sealed again if they differ. Call it in the transaction that
        changes them.
        """
        rows = [CallSealDue(call_id=call_id) for call_id in sorted(call_ids)]
        CallSealDue.objects.bulk_create(rows, ignore_conflicts=True)
        self.filter(call_id__in=call_ids).update(due_at=database_now())


class CallSealDue(models.Model):
    """A call that the job seals next. The row stays, so that no mark is lost beside the job."""

    call_id = models.UUIDField(primary_key=True)
    due_at = models.DateTimeField(null=True, help_text="Empty: nothing to do.")

    objects = CallSealDueQuerySet.as_manager()

    class Meta:
        ordering = ["due_at"]
        default_permissions = ()
        indexes = [
            # The job that seals.
            models.Index(
                fields=["due_at"], name="seal_due", condition=models.Q(due_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.call_id)
