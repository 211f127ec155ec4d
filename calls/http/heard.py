"""Audit entries of audio, written before its first byte is sent: without an entry no audio.

An entry has the seconds that were asked for: a player that stops earlier has heard fewer. A player
asks for one range after another. Within `SAME_LISTENING`, ranges whose seconds are all in an entry
of the same listener are covered by it, and get no entry of their own; downloads always get one.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import Error as DatabaseError

from calls.audit.actors import Actor
from calls.audit.trail import record
from calls.export.errors import AuditUnavailable
from calls.export.export import Export
from calls.http.byte_ranges import ByteRange
from calls.models import Action, AuditEntry, database_now

log = structlog.get_logger(__name__)

SAME_LISTENING = timedelta(minutes=5)

SAME = ("layout", "format", "participants", "segment")
"""Facts in which a covered request agrees with the entry."""


class AudioNote:
    """The entry of one response with audio of a call, or of one segment of it."""

    def __init__(
        self, actor: Actor, call: UUID, *, action: Action, segment: UUID | None = None
    ) -> None:
        self._actor, self._call, self._action, self._segment = actor, call, action, segment

    def write(self, export: Export, part: ByteRange | None = None) -> None:
        """Writes the entry for the whole export or for a part of it, unless it is covered.

        Raises `AuditUnavailable`; then no audio may be sent.
        """
        detail = _detail(export, part)
        if self._segment:
            detail["segment"] = str(self._segment)
        try:
            if self._action is not Action.HEARD or not self._is_covered(detail):
                record(self._action, actor=self._actor, call=self._call, detail=detail)
        except DatabaseError as error:
            log.warning("audio not audited", call=str(self._call), error=type(error).__name__)
            raise AuditUnavailable from error

    def _is_covered(self, detail: dict[str, Any]) -> bool:
        same = AuditEntry.objects.filter(
            call=self._call,
            action=self._action,
            actor_kind=self._actor.kind,
            actor_id=self._actor.id,
            address=self._actor.address,
            at__gt=database_now() - SAME_LISTENING,
        )
        return any(
            all(one.get(name) == detail.get(name) for name in SAME)
            and one["from"] <= detail["from"]
            and one["to"] >= detail["to"]
            for one in same.values_list("detail", flat=True)
        )


def _detail(export: Export, part: ByteRange | None) -> dict[str, Any]:
    plan = export.plan
    first, last = _samples(export, part)
    detail = {
        "from": math.floor(first * 1000 / plan.sample_rate) / 1000,
        "to": math.ceil(last * 1000 / plan.sample_rate) / 1000,
        "layout": str(plan.layout),
        "format": plan.format.name,
        "participants": [str(track.participant_id) for track in plan.tracks],
    }
    return {**detail, "bytes": [part.first, part.last]} if part else detail


def _samples(export: Export, part: ByteRange | None) -> tuple[int, int]:
    """Returns the first and last sample of a part: exactly for WAV, otherwise all of the export."""
    plan = export.plan
    if part is None or plan.format.name != "wav" or export.size is None:
        return plan.first, plan.last
    frame = 2 * plan.channels
    header = export.size - plan.sample_count * frame
    first = plan.first + max(0, part.first - header) // frame
    last = plan.first - (-max(0, part.last - header) // frame)
    return first, last
