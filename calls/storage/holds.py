"""Legal holds: setting, lifting, and which holds keep a call.

`deletion.delete_call` asks here, so a hold overrides every deletion, through any door.
The database decides between a hold and a deletion that run at the same time: each deletion has a
shared lock until its transaction ends, and setting a hold waits for all of them. A deletion that
begins later sees the hold. SQLite has one writer at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from calls.audit.actors import Actor
from calls.audit.trail import record
from calls.models import Call, CallEvent, HeldCall, LegalHold, Participant
from calls.models.audit.entry import Action
from calls.search import number_parts

log = structlog.get_logger(__name__)

HOLD_LOCK = 0x6163686C
"""Number of Postgres's advisory lock between holds and deletions ("achl")."""


class Held(Exception):
    """A legal hold covers the call; the text names it."""

    def __init__(self, holds: Collection[LegalHold]) -> None:
        names = ", ".join(f"“{hold.name}”" for hold in holds)
        super().__init__(f"The call is under legal hold ({names}) and cannot be deleted.")


class UnknownCalls(Exception):
    """Calls that do not exist, such as those that have just been deleted."""

    def __init__(self, call_ids: Collection[UUID]) -> None:
        self.call_ids = sorted(call_ids)
        super().__init__(f"No such call: {', '.join(map(str, self.call_ids))}.")


class UnusableNumber(ValueError):
    """A text that names no participant for certain: a hold by it might cover nothing."""

    def __init__(self) -> None:
        super().__init__(
            "Give the phone number in international form, such as +1 555 200 0002, or a raw id."
        )


def raw_id_of(number: str) -> str:
    """Returns the raw id of a phone number as people write it, or of a raw id.

    Raises `UnusableNumber` for a national number, which means another one in each country, and for
    other texts.
    """
    text = number.strip()
    international = next((one for one in number_parts(text) if one.startswith("+")), "")
    if international:
        return f"4:{international}"
    kind, colon, rest = text.partition(":")
    if not (kind.isdigit() and colon and rest):
        raise UnusableNumber
    return _with_plus(text)


def set_hold(
    *, name: str, reason: str, by: Actor, number: str = "", calls: Collection[UUID] = ()
) -> LegalHold:
    """Sets a hold on calls, on a number, or on both.

    Waits for deletions that are running. Raises `UnknownCalls` if one of the calls is gone, and
    `UnusableNumber`.
    """
    raw_id = raw_id_of(number) if number.strip() else ""
    with transaction.atomic():
        _lock(shared=False)
        wanted = set(calls)
        if gone := wanted - set(Call.objects.filter(pk__in=wanted).values_list("pk", flat=True)):
            raise UnknownCalls(gone)
        hold: LegalHold = LegalHold.objects.create(
            name=name,
            reason=reason,
            number=raw_id,
            set_by=by.name,
            set_at=timezone.now(),
        )
        HeldCall.objects.bulk_create([HeldCall(hold=hold, call_id=pk) for pk in sorted(wanted)])
        # Without the number, which would outlive the recordings.
        detail = {"hold": str(hold.pk), "name": name, "calls": [str(pk) for pk in sorted(wanted)]}
        record(Action.HELD, actor=by, reason=reason, detail=detail)
    log.info("legal hold set", hold=str(hold.pk), calls=len(wanted), by_number=bool(hold.number))
    return hold


def lift_hold(hold_id: UUID, *, reason: str, by: Actor) -> bool:
    """Lifts a hold; its row stays. Returns False if it is lifted already, or does not exist."""
    in_force = LegalHold.objects.in_force().filter(pk=hold_id)
    with transaction.atomic():
        lifted = in_force.update(lifted_by=by.name, lifted_at=timezone.now(), lift_reason=reason)
        if lifted:
            detail = {"hold": str(hold_id)}
            record(Action.HOLD_LIFTED, actor=by, reason=reason, detail=detail)
    if lifted:
        log.info("legal hold lifted", hold=str(hold_id))
    return bool(lifted)


def holds_on(call: Call) -> list[LegalHold]:
    """Returns the holds in force that cover the call, the oldest first."""
    in_force = LegalHold.objects.in_force()
    covering = Q(held_calls__call_id=call.pk)
    if in_force.exclude(number="").exists():
        covering |= Q(number__in=_numbers_of(call))
    return list(in_force.filter(covering).order_by("set_at", "pk").distinct())


def holds_by_call(calls: Iterable[Call]) -> dict[Call, list[LegalHold]]:
    """Returns the held ones of these calls, with their holds. One query if nothing is held."""
    if not LegalHold.objects.in_force().exists():
        return {}
    return {call: found for call in calls if (found := holds_on(call))}


def held_among(call_ids: Iterable[UUID]) -> int:
    """Returns how many of the calls are held."""
    return len(holds_by_call(Call.objects.filter(pk__in=list(call_ids))))


def raise_if_held(call: Call) -> None:
    """Raises `Held`. To be called in the transaction that deletes: no hold is set until it ends."""
    _lock(shared=True)
    if holds := holds_on(call):
        raise Held(holds)


def _numbers_of(call: Call) -> set[str]:
    """Returns the raw ids of all participants: tracks, and people that only events name, since a
    mixed recording has no track of them. A raw id of a phone may lack its `+`, and may end with `_`
    and a suffix.
    """
    raw_ids = set(Participant.objects.filter(call=call).values_list("raw_id", flat=True))
    events = CallEvent.objects.of_call(call.call_connection_id, call.correlation_id).order_by()
    for data in events.values_list("data", flat=True).iterator():
        raw_ids.update(_raw_ids_in(data))
    phones = {_with_plus(one.partition("_")[0]) for one in raw_ids if one.startswith("4:")}
    return (raw_ids | phones) - {""}


def _with_plus(raw_id: str) -> str:
    """Returns the raw id of a phone in the form that has a `+`; any other as it is."""
    is_short = raw_id.startswith("4:") and raw_id[2:].isdigit()
    return f"4:+{raw_id[2:]}" if is_short else raw_id


def _raw_ids_in(data: Any) -> Iterator[str]:
    """Yields each `rawId` in an event, at any depth."""
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(raw_id := one.get("rawId"), str):
                yield raw_id
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _lock(*, shared: bool) -> None:
    """Locks until the end of the transaction."""
    if connection.vendor == "postgresql":
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [HOLD_LOCK])
