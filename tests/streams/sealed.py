"""The result of digesting the files of a socket one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.journal.records import Closed, Handshake, Record
from streams.sealing.digest import (
    Digest,
    SealedSegment,
    StreamState,
    SubscriptionFacts,
    digest_of,
    dump_state,
    handshake_in,
    load_state,
)
from streams.timeline.timeline import Gap
from tests.streams.journals import handshake_of
from tests.streams.packets import START_US


@dataclass
class Sealed:
    """The result of several files together."""

    state: StreamState = field(default_factory=StreamState)
    digests: list[Digest] = field(default_factory=list)

    @property
    def segments(self) -> list[SealedSegment]:
        return [segment for digest in self.digests for segment in digest.segments]

    @property
    def gaps(self) -> list[tuple[str, Gap]]:
        return [gap for digest in self.digests for gap in digest.gaps]

    def samples(self, raw_id: str = "p") -> list[tuple[int, int, bytes]]:
        """Returns (start, rate, PCM) of the track, contiguous parts of one rate joined."""
        joined: list[tuple[int, int, bytes]] = []
        for one in self.segments:
            if one.raw_id != raw_id:
                continue
            if (
                joined
                and joined[-1][1] == one.sample_rate
                and joined[-1][0] + len(joined[-1][2]) // 2 == one.start_sample
            ):
                joined[-1] = (joined[-1][0], one.sample_rate, joined[-1][2] + one.pcm)
            else:
                joined.append((one.start_sample, one.sample_rate, one.pcm))
        return joined

    def facts(self) -> list[SubscriptionFacts]:
        return list(self.state.subscriptions.values())

    def entries(self) -> list[object]:
        """Returns the ledger entries other than gaps."""
        return [
            entry
            for digest in self.digests
            for entry in [*digest.jumps, *digest.rate_changes, *digest.dtmf, *digest.damage]
        ]


def seal(
    files: Sequence[Sequence[Record]], handshake: Handshake | None = None, *, last: bool = True
) -> Sealed:
    """Digests the files one after the other; between them the state is written and read back."""
    sealed = Sealed()
    for number, records in enumerate(files):
        sealed.state = load_state(dump_state(sealed.state))
        file_handshake = handshake or handshake_in(records)
        assert file_handshake, "every file of these tests has a handshake"
        is_last = last and number == len(files) - 1
        sealed.digests.append(digest_of(list(records), file_handshake, sealed.state, last=is_last))
    return sealed


def seal_one(
    records: Sequence[Record], *, last: bool = True, segment_seconds: float = 10.0
) -> Sealed:
    return seal([[handshake_of(segment_seconds=segment_seconds), *records]], last=last)


def closed(at_us: int = START_US + 10_000_000, code: int | None = 1000) -> Closed:
    return Closed(at_us, code)
