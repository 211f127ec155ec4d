"""Display names given by people: validation, and an entry in the admin's history."""

from __future__ import annotations

import unicodedata
from typing import Any
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError

from calls.models import Participant


def valid_name(name: str) -> str:
    """Returns the name. Raises Django's `ValidationError` for one that cannot be stored, or not be
    shown in a line.

    Marks of writing direction are kept: pages isolate names.
    """
    if any(unicodedata.category(one) in {"Cc", "Cs"} for one in name):
        raise ValidationError("Control characters are not allowed.")
    return name


def note_naming(user: Any, participant_id: UUID) -> LogEntry:
    """Adds an entry to the admin's history, without the name and the number: it outlives the
    call.
    """
    entry: LogEntry = LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(Participant),
        object_id=str(participant_id),
        object_repr=str(participant_id),
        action_flag=CHANGE,
        change_message='[{"changed": {"fields": ["Display name"]}}]',
    )
    return entry
