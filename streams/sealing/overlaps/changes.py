"""Changes of stored segments that another socket's audio needs: reads, moves and cuts them.

A segment that moves keeps its id and its object, whose names have its first position. So the id of
a new segment at that position may be in use: it gets another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.db import Error as DatabaseError
from django.db.models import F

from calls import identity
from calls.audio import codec
from calls.audio.codec import DamagedAudio
from calls.models import DiscardedAudio, Segment
from calls.storage import StoreUnreachable, read_object
from streams.sealing.overlaps.placement import Move, Stored

FAR = 1 << 60
"""Samples, beyond any position: rows that move are taken out of the way of each other first."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A stored segment, and the columns of each of the segments that replace it."""

    stored: Stored
    pieces: Sequence[Mapping[str, Any]]


def read_pcm(stored: Stored) -> bytes | None:
    """Returns the PCM of a stored segment; None if its object is missing or damaged.

    Raises `StoreUnreachable`, `django.db.Error`.
    """
    try:
        content = read_object(stored.audio_name)
        samples = codec.decode(content, sample_count=stored.sample_count, sha256=stored.sha256)
    except (DamagedAudio, FileNotFoundError):
        return None
    except DatabaseError:
        raise
    except OSError as error:
        raise StoreUnreachable(f"not read: {error}") from error
    return samples.astype("<i2").tobytes()


def segment_id_of(
    participant_id: UUID, start_sample: int, sha256: str, used: Collection[UUID]
) -> UUID:
    """Returns the id of a new segment: the usual one, unless a moved segment uses it."""
    usual = identity.segment_id_of(participant_id, start_sample)
    return usual if usual not in used else uuid5(usual, sha256)


def move(moves: Iterable[Move]) -> None:
    """Moves rows, without two of them at the same position at any time."""
    by_distance: dict[int, list[UUID]] = {}
    for one in moves:
        distance = one.start_sample - one.stored.start_sample
        by_distance.setdefault(distance, []).append(one.stored.segment_id)
    for distance, ids in by_distance.items():
        Segment.objects.filter(id__in=ids).update(start_sample=F("start_sample") + FAR + distance)
    for ids in by_distance.values():
        Segment.objects.filter(id__in=ids).update(start_sample=F("start_sample") - FAR)


def change(
    moves: Iterable[Move],
    replacements: Collection[Replacement],
    used: Collection[UUID],
    now: datetime,
) -> None:
    """Moves rows, and replaces others by the pieces of their audio, whose objects are removed
    later. Rows that are replaced go first: others may take their positions.
    """
    rows = Segment.objects.in_bulk([one.stored.segment_id for one in replacements])
    for row in rows.values():
        DiscardedAudio.objects.get_or_create(name=row.audio_name, defaults={"segment_id": row.pk})
    if rows:
        Segment.objects.filter(id__in=list(rows)).delete()
    move(moves)
    for one in replacements:
        row = rows[one.stored.segment_id]
        for columns in one.pieces:
            for name, value in columns.items():
                setattr(row, name, value)
            row.id = segment_id_of(row.participant_id, row.start_sample, row.sha256, used)
            row.sealed_at = now
            row.save(force_insert=True)
