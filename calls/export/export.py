"""One export, ready to be sent: its ETag, its size if known in advance, its bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from calls.export.encoders import flac, sections, wav
from calls.export.encoders.mp3_file import Mp3File
from calls.export.encoders.opus_file import OpusFile
from calls.export.encoders.sections import SectionedFile
from calls.export.plan import Plan, etag_of
from calls.export.read_ahead import ReadAhead
from calls.export.rendering import Renderer
from calls.export.segments import read_segment

_SECTIONED: dict[str, Callable[[Plan], SectionedFile]] = {"mp3": Mp3File, "opus": OpusFile}


@dataclass(frozen=True, slots=True)
class Export:
    plan: Plan
    etag: str
    size: int | None
    """Bytes; None if it is known only after encoding (FLAC)."""
    file: SectionedFile | None = None

    @classmethod
    def of(cls, plan: Plan) -> Export:
        etag = etag_of(plan)
        if make := _SECTIONED.get(plan.format.name):
            file = make(plan)
            return cls(plan, etag, sections.size_of(file), file)
        return cls(plan, etag, wav.size_of(plan) if plan.format.name == "wav" else None)

    def chunks(self) -> Generator[bytes, None, None]:
        """Yields the whole file."""
        if self.size is None:
            with ReadAhead(read_segment) as ahead:
                renderer = Renderer(self.plan, ahead.read, ahead.announce)
                yield from flac.chunks(self.plan, renderer.all_blocks())
        else:
            yield from self.chunks_between(0, self.size)

    def chunks_between(self, first: int, last: int) -> Generator[bytes, None, None]:
        """Yields bytes [first, last) of a file of known size. WAV reads only the segments in that
        range; MP3 and Opus start at the section in which it begins, with an empty chunk for each
        that lies before it.
        """
        with ReadAhead(read_segment) as ahead:
            renderer = Renderer(self.plan, ahead.read, ahead.announce)
            if self.file is None:
                yield from wav.chunks(self.plan, renderer.blocks, first, last)
            else:
                yield from sections.chunks(self.file, self.plan, renderer.blocks, first, last)
