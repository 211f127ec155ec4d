"""What files of a socket give when they are digested one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.journal.records import Closed, Handshake, Record
from streams.sealing import digest as sealing
from streams.sealing.digest import Digest, SealedSegment, StreamState, SubscriptionFacts
from streams.timeline.timeline import Gap
from tests.streams.journals import handshake_of
from tests.streams.packets import START_US


@dataclass
class Sealed:
    """What several files together have given."""

    state: StreamState = field(default_factory=StreamState)
    digests: list[Digest] = field(default_factory=list)

    @property
    def segments(self) -> list[SealedSegment]:
        return [segment for digest in self.digests for segment in digest.segments]

    @property
    def gaps(self) -> list[tuple[str, Gap]]:
        return [gap for digest in self.digests for gap in digest.gaps]

    def samples(self, raw_id: str = "p") -> list[tuple[int, int, bytes]]:
        """(start, rate, PCM) of the track, contiguous pieces of one rate glued together."""
        glued: list[tuple[int, int, bytes]] = []
        for one in self.segments:
            if one.raw_id != raw_id:
                continue
            if (
                glued
                and glued[-1][1] == one.sample_rate
                and glued[-1][0] + len(glued[-1][2]) // 2 == one.start_sample
            ):
                glued[-1] = (glued[-1][0], one.sample_rate, glued[-1][2] + one.pcm)
            else:
                glued.append((one.start_sample, one.sample_rate, one.pcm))
        return glued

    def facts(self) -> list[SubscriptionFacts]:
        return list(self.state.subscriptions.values())

    def entries(self) -> list[object]:
        """What goes to the ledger besides gaps."""
        return [
            entry
            for digest in self.digests
            for entry in [*digest.jumps, *digest.rate_changes, *digest.dtmf, *digest.damage]
        ]


def seal(
    files: Sequence[Sequence[Record]], handshake: Handshake | None = None, *, last: bool = True
) -> Sealed:
    """Digests the files one after the other; between them the state is written out and read
    back.
    """
    sealed = Sealed()
    for number, records in enumerate(files):
        sealed.state = sealing.load(sealing.dump(sealed.state))
        shaken = handshake or sealing.handshake_in(records)
        assert shaken, "every file of these tests has its handshake"
        is_last = last and number == len(files) - 1
        sealed.digests.append(sealing.digest(list(records), shaken, sealed.state, last=is_last))
    return sealed


def seal_one(
    records: Sequence[Record], *, last: bool = True, segment_seconds: float = 10.0
) -> Sealed:
    return seal([[handshake_of(segment_seconds=segment_seconds), *records]], last=last)


def closed(at_us: int = START_US + 10_000_000, code: int | None = 1000) -> Closed:
    return Closed(at_us, code)
