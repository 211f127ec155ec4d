"""One export, ready to be sent: its size where that is known, its ETag, its bytes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from calls.export.encoders import compressed, wav
from calls.export.plan import Plan, etag_of
from calls.export.read_ahead import ReadAhead
from calls.export.rendering import Renderer
from calls.export.segments import read_stretch


@dataclass(frozen=True, slots=True)
class Export:
    plan: Plan
    etag: str
    size: int | None
    """Bytes; None where it is known only when all is encoded (FLAC, Opus)."""

    @classmethod
    def of(cls, plan: Plan) -> Export:
        size = wav.size_of(plan) if plan.format.name == "wav" else compressed.size_of(plan)
        return cls(plan, etag_of(plan), size)

    def pieces(self) -> Generator[bytes, None, None]:
        """The whole file."""
        if self.size is None:
            with ReadAhead(read_stretch) as reading:
                yield from compressed.pieces(
                    self.plan, Renderer(self.plan, reading.read, reading.expect)
                )
        else:
            yield from self.pieces_between(0, self.size)

    def pieces_between(self, first: int, last: int) -> Generator[bytes, None, None]:
        """Bytes [first, last). WAV reads what they hold and no more; MP3 is encoded up to
        `last`.
        """
        with ReadAhead(read_stretch) as reading:
            renderer = Renderer(self.plan, reading.read, reading.expect)
            if self.plan.format.name == "wav":
                yield from wav.pieces(self.plan, renderer, first, last)
            else:
                yield from _cut(compressed.pieces(self.plan, renderer), first, last)


def _cut(pieces: Generator[bytes, None, None], first: int, last: int) -> Iterator[bytes]:
    place = 0
    with closing(pieces):
        for piece in pieces:
            begin, end = max(first - place, 0), min(last - place, len(piece))
            if begin < end:
                yield piece[begin:end]
            place += len(piece)
            if place >= last:
                return
