"""One export, ready to be sent: its ETag, its size if known in advance, its bytes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from calls.export.encoders import compressed, wav
from calls.export.plan import Plan, etag_of
from calls.export.read_ahead import ReadAhead
from calls.export.rendering import Renderer
from calls.export.segments import read_segment


@dataclass(frozen=True, slots=True)
class Export:
    plan: Plan
    etag: str
    size: int | None
    """Bytes; None if it is known only after encoding (FLAC, Opus)."""

    @classmethod
    def of(cls, plan: Plan) -> Export:
        size = wav.size_of(plan) if plan.format.name == "wav" else compressed.size_of(plan)
        return cls(plan, etag_of(plan), size)

    def chunks(self) -> Generator[bytes, None, None]:
        """Yields the whole file."""
        if self.size is None:
            with ReadAhead(read_segment) as ahead:
                renderer = Renderer(self.plan, ahead.read, ahead.announce)
                yield from compressed.chunks(self.plan, renderer.all_blocks())
        else:
            yield from self.chunks_between(0, self.size)

    def chunks_between(self, first: int, last: int) -> Generator[bytes, None, None]:
        """Yields bytes [first, last). WAV reads only the segments in that range; MP3 is encoded
        from the start up to `last`, with an empty chunk for each that lies before `first`.
        """
        with ReadAhead(read_segment) as ahead:
            renderer = Renderer(self.plan, ahead.read, ahead.announce)
            if self.plan.format.name == "wav":
                yield from wav.chunks(self.plan, renderer.blocks, first, last)
                return
            position = 0
            with closing(compressed.chunks(self.plan, renderer.all_blocks())) as chunks:
                for chunk in chunks:
                    begin, end = max(first - position, 0), min(last - position, len(chunk))
                    yield chunk[begin:end] if begin < end else b""
                    position += len(chunk)
                    if position >= last:
                        return
