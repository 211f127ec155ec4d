"""Rows of participants: who was heard in a call, in which order they arrived, from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F

from calls import identity
from calls.coverage.stored_events.names import name_participants
from calls.models import Participant, Segment
from streams.journal.records import Handshake

ROWS_PER_STATEMENT = 500

Heard = tuple[datetime | None, datetime | None, int | None]
"""A participant's `heard_at`, `heard_until` and `voice`."""

Voice = tuple[UUID, UUID, str]
"""Call, participant, raw id."""


def unheard(raw_ids: Iterable[str]) -> dict[str, Heard]:
    """Returns voices in the order of arrival, without audio."""
    return {raw_id: (None, None, number) for number, raw_id in enumerate(raw_ids)}


def united(one: Heard, other: Heard) -> Heard:
    """Returns the time from the earlier start to the later end, and the voice at the start."""
    firsts = [first for first, _, _ in (one, other) if first is not None]
    lasts = [last for _, last, _ in (one, other) if last is not None]
    first = min(firsts, default=None)
    voices = [voice for at, _, voice in (one, other) if at == first and voice is not None]
    return first, max(lasts, default=None), min(voices, default=None)


def by_voice(handshake: Handshake, heard: Mapping[str, Heard]) -> dict[Voice, Heard]:
    """Returns what was heard of a call, by voice instead of raw id."""
    call_id = UUID(handshake.call_id)
    return {
        (call_id, identity.participant_id_of(call_id, raw_id), raw_id): heard[raw_id]
        for raw_id in sorted(heard)
    }


def add_missing(heard: Mapping[Voice, Heard]) -> None:
    """Writes participants that have no row yet."""
    Participant.objects.bulk_create(
        _rows(heard), ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT
    )
    _name_after_commit(call_id for call_id, _, _ in heard)


def write(heard: Mapping[Voice, Heard]) -> None:
    """Writes missing participants, and `heard_at` and `heard_until` of those with audio: the time
    between them only grows. `voice` is that of the file with the earliest audio.

    Rows are read and written again, rather than compared by the database: the lock on the call
    keeps all other processes out.
    """
    ids = {participant_id for _, participant_id, _ in heard}
    known: dict[UUID, Heard] = {
        participant_id: (first, last, voice)
        for participant_id, first, last, voice in Participant.objects.filter(id__in=ids)
        .order_by()
        .values_list("id", "heard_at", "heard_until", "voice")
    }
    changed = {}
    for key, extent in heard.items():
        before = known.get(key[1])
        wider = united(extent, before or (None, None, None))
        if wider != before:
            changed[key] = wider
    Participant.objects.bulk_create(
        _rows(changed),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["heard_at", "heard_until", "voice"],
        batch_size=ROWS_PER_STATEMENT,
    )
    _name_after_commit(call_id for call_id, one, _ in heard if one not in known)


def correct(participant_ids: Iterable[UUID]) -> None:
    """Derives `heard_at` and `heard_until` again from the segments: some have moved back."""
    place = F("start_sample") * 1.0 / F("sample_rate")  # rates may differ
    for participant_id in participant_ids:
        segments = Segment.objects.filter(participant=participant_id)
        first, last = segments.order_by(place).first(), segments.order_by(place.desc()).first()
        Participant.objects.filter(id=participant_id).update(
            heard_at=first and first.started_at, heard_until=last and last.ended_at
        )


def _name_after_commit(call_ids: Iterable[UUID]) -> None:
    """Names new participants as events say, once a process that stores an event can see them.

    Django logs an error, and the rows stay: a name is no reason to seal a journal again.
    """
    if new := set(call_ids):
        transaction.on_commit(partial(name_participants, new), robust=True)


def _rows(heard: Mapping[Voice, Heard]) -> list[Participant]:
    return [
        Participant(
            id=participant_id,
            call_id=call_id,
            raw_id=raw_id,
            kind=identity.kind_of(raw_id),
            heard_at=first,
            heard_until=last,
            voice=voice,
        )
        for (call_id, participant_id, raw_id), (first, last, voice) in heard.items()
    ]
