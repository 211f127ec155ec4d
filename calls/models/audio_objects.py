"""Objects of the audio store: stored in the database, or waiting for removal."""

from __future__ import annotations

from django.db import models


class AudioBlob(models.Model):
    """One object of the audio store when AUDIO_STORE=database."""

    name = models.CharField(primary_key=True, max_length=200)
    content = models.BinaryField()
    size = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class DiscardedAudio(models.Model):
    """An object of the audio store whose segment is deleted. `calls.storage.deletion.sweep` removes
    the object, then this row.

    Written in the transaction that deletes the segment, so that neither a crash nor an unreachable
    store leaves audio behind for good.
    """

    name = models.CharField(primary_key=True, max_length=200)
    segment_id = models.UUIDField(
        help_text="Sealed again from its journal, the segment needs its object after all."
    )

    class Meta:
        verbose_name_plural = "discarded audio"

    def __str__(self) -> str:
        return self.name
