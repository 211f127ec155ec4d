"""One row per packet."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Chunk(models.Model):
    """A packet as received. The tutorials call it a chunk."""

    call_id = models.CharField(max_length=255, db_index=True)
    participant = models.CharField(max_length=255)
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField()
    pcm = models.BinaryField()

    objects: ClassVar[models.Manager[Chunk]] = models.Manager()

    class Meta:
        app_label = "tutorial"

    def __str__(self) -> str:
        return f"{self.participant} {self.timestamp}"
