"""Deterministic ids (UUIDv5), and the kind and label of an ACS raw id. PURE.

Every process derives the same id for the same thing (RFC 9562, section 5.5). So processes need no
coordination, a retry writes the same row again, and packets are handled without the database.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1c1f0e-5a4b-4d0e-9a3c-6b1f3f1a7c11")
"""Root of all derived ids. Changing it would give every recorded call another id."""

RAW_ID_MAX_LENGTH = 512
"""Longest raw id that is stored, in characters. The longest documented kind, a Teams extension
user, has about 120.
"""

CANARY_PREFIX = "canary-"
"""Beginning of the call connection ids of canary calls, which are not calls of people: lists hide
them, and nothing counts them. The media socket admits such an id only with the token of that canary
call (`calls.canary.token`).
"""

KINDS = {
    "acs": "ACS user",
    "teams_extension": "Teams extension user",
    "phone": "Phone number",
    "teams": "Teams user",
    "teams_visitor": "Teams visitor",
    "bot": "App or bot",
    "mixed": "Mixed audio",
    "unknown": "Unknown",
}

_PREFIXES = (
    ("8:acs:", "acs"),
    ("8:spool:", "acs"),
    ("8:dod-acs:", "acs"),
    ("8:gcch-acs:", "acs"),
    ("4:", "phone"),
    ("8:orgid:", "teams"),
    ("8:dod:", "teams"),
    ("8:gcch:", "teams"),
    ("8:teamsvisitor:", "teams_visitor"),
    # `28:orgid:` can also be a Teams resource account. Under Teams Phone Extensibility it is one:
    # the line that was called, not a person.
    ("28:", "bot"),
)


def call_id_of(call_connection_id: str, stream_id: UUID, source: str = "acs") -> UUID:
    """Returns the same id for every socket of one call connection of one `source` (sender).

    A socket without a connection id is a separate call. Ids of ACS calls were in use before there
    were sources, and stay as they are. Every other source has a namespace, so that a connection id
    of one sender never matches a call of another.
    """
    namespace = NAMESPACE if source == "acs" else uuid5(NAMESPACE, f"source:{source}")
    return uuid5(
        namespace, f"call:{call_connection_id}" if call_connection_id else f"stream:{stream_id}"
    )


def is_canary(call_connection_id: str) -> bool:
    """Returns whether the id is one of a canary call, in either case, as SQLite compares it."""
    return call_connection_id[: len(CANARY_PREFIX)].lower() == CANARY_PREFIX


class CallLink(NamedTuple):
    """A call in the chain of calls of one connection id. `number` is 0 for the first call; each
    other one continues the call before it, which had ended.
    """

    first_id: UUID
    number: int = 0

    @property
    def id(self) -> UUID:
        """The id of the call. It is derived from the first call and the number only, so sockets
        that open at the same time in two processes agree on it.
        """
        return uuid5(self.first_id, f"continuation:{self.number}") if self.number else self.first_id

    @property
    def continued_from(self) -> UUID | None:
        """The id of the call before it."""
        return CallLink(self.first_id, self.number - 1).id if self.number else None

    @property
    def following(self) -> CallLink:
        return CallLink(self.first_id, self.number + 1)


def subscription_row_id(stream_id: UUID, index: int) -> UUID:
    """Returns the id of the `index`-th AudioMetadata (from 0) on one socket."""
    return uuid5(stream_id, f"subscription:{index}")


def participant_id_of(call_id: UUID, raw_id: str) -> UUID:
    return uuid5(call_id, f"participant:{raw_id}")


def segment_id_of(participant_id: UUID, start_sample: int) -> UUID:
    return uuid5(participant_id, f"segment:{start_sample}")


def entry_id_of(owner_id: UUID, kind: str, position: int) -> UUID:
    """Returns the id of a ledger entry.

    `owner_id` is a participant, stream or segment; `position` a sample or the number of a record.
    """
    return uuid5(owner_id, f"{kind}:{position}")


def event_row_id(source: str, event_id: str) -> UUID:
    """Returns the id of an event of ACS: source and id together identify it (CloudEvents 1.0,
    section 3.1).
    """
    return uuid5(NAMESPACE, f"event:{source}\n{event_id}")


def kind_of(raw_id: str) -> str:
    """Returns the key of `KINDS` for a `participantRawID` (ACS identifier formats, "Raw ID" in the
    identity reference).
    """
    if not raw_id:
        return "mixed"
    if raw_id.startswith("8:acs:") and raw_id.count("_") == 2:  # resource, tenant, user
        return "teams_extension"
    return next((kind for prefix, kind in _PREFIXES if raw_id.startswith(prefix)), "unknown")


def label_of(raw_id: str) -> str:
    """Returns a short name for operators: the number, or the kind and the end of the id."""
    kind = kind_of(raw_id)
    if kind == "mixed":
        return "Everyone (mixed)"
    if kind == "phone":
        number = raw_id.removeprefix("4:").partition("_")[0]
        return "Withheld number" if number == "anonymous" else number
    if kind == "unknown":
        return raw_id if len(raw_id) <= 40 else f"{raw_id[:39]}…"
    tail = raw_id.rpartition(":")[2].rpartition("_")[2]
    return f"{KINDS[kind]} …{tail[-6:]}"
