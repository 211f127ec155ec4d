"""Rows as the sealer writes them, from segments and facts of a test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.forms.models import model_to_dict
from msgspec import structs

from calls.audio import codec
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from calls.times import from_microseconds
from streams.journal.records import Handshake
from streams.sealing import digest, rows
from streams.sealing.digest import Digest, SubscriptionFacts
from streams.sealing.rows import Addition, Announcement, StoredSegment
from tests.streams.journals import handshake_of
from tests.streams.packets import RATE, START_US

START = START_US * RATE // 1_000_000
NOW = from_microseconds(START_US + 60_000_000)
MODELS = (Call, Subscription, Participant, Segment, LedgerEntry)


def segment(
    start: int, count: int, fill: int = 1, raw_id: str = "p", rate: int = RATE
) -> digest.SealedSegment:
    """Returns `count` samples of one value, `start` samples after the start of the call."""
    return digest.SealedSegment(
        raw_id, 0, START * rate // RATE + start, rate, bytes([fill, 0]) * count, 1
    )


def stored(one: digest.SealedSegment) -> StoredSegment:
    sha256 = codec.pcm_hash(one.pcm)
    return StoredSegment(
        one, sha256, -6.0, -12.0, f"{one.raw_id}/{one.start_sample}-{sha256[:16]}.flac", 100, b""
    )


def write(
    handshake: Handshake,
    segments: Sequence[digest.SealedSegment] = (),
    *,
    facts: SubscriptionFacts | None = None,
) -> None:
    """Writes one file with these segments, of a closed socket unless `facts` differ."""
    end_us = handshake.connected_at_us + 10_000_000
    facts = facts or SubscriptionFacts(
        0, handshake.connected_at_us, disconnected_us=end_us, close_code=1000
    )
    rows.write([addition(handshake, segments, facts=facts, end_us=end_us)], NOW)


def addition(
    handshake: Handshake,
    segments: Sequence[digest.SealedSegment] = (),
    *,
    facts: SubscriptionFacts | None = None,
    voices: Collection[str] = (),
    end_us: int = START_US,
) -> Addition:
    """Returns the additions of such a file; its socket is open unless `facts` differ."""
    facts = facts or open_facts(handshake)
    return Addition(Digest(handshake), [facts], [stored(one) for one in segments], voices, end_us)


def announce(
    handshake: Handshake, facts: Iterable[SubscriptionFacts] = (), voices: Iterable[str] = ()
) -> None:
    """Announces one open socket."""
    rows.announce([Announcement(handshake, list(facts), list(voices))])


def open_facts(handshake: Handshake) -> SubscriptionFacts:
    return SubscriptionFacts(0, handshake.connected_at_us)


def later(handshake: Handshake, seconds: float) -> Handshake:
    """Returns the handshake of another socket of the call."""
    connected_us = handshake.connected_at_us + round(seconds * 1_000_000)
    return handshake_of(handshake.call_connection_id, connected_us=connected_us)


def everything() -> list[dict[str, Any]]:
    return [
        model_to_dict(row) | {"pk": row.pk}
        for model in MODELS
        for row in model._default_manager.order_by("pk")
    ]


def replace_facts(facts: SubscriptionFacts, **values: Any) -> SubscriptionFacts:
    return structs.replace(facts, **values)
