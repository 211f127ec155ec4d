"""Raw ids of fictional people, the same in every run, so that a search for one finds its calls."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

_ROOT = uuid5(NAMESPACE_DNS, "simulator.acsmedia.invalid")
RESOURCE = uuid5(_ROOT, "resource")
"""The ACS resource that all simulated users belong to."""


def phone(index: int) -> str:
    """Returns a number of the American range reserved for fiction (555-01xx and following)."""
    return f"4:+1555010{(index + 142) % 10_000:04d}"


def acs_user(index: int) -> str:
    return f"8:acs:{RESOURCE}_{uuid5(_ROOT, f'user {index}')}"


def teams_user(index: int) -> str:
    return f"8:orgid:{uuid5(_ROOT, f'teams user {index}')}"


def teams_visitor(index: int) -> str:
    return f"8:teamsvisitor:{uuid5(_ROOT, f'visitor {index}').hex}"


def bot(index: int) -> str:
    return f"28:orgid:{uuid5(_ROOT, f'bot {index}')}"


def raw_id(call: int, participant: int) -> str:
    """Returns the raw id of a participant of a call: in turn a phone, an ACS user, a Teams user, a
    visitor and a bot.
    """
    kinds = (phone, acs_user, teams_user, teams_visitor, bot)
    return kinds[participant % len(kinds)](call + 1000 * (participant // len(kinds)))
