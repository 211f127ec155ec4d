"""MP3 in sections, by LAME through libsndfile."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import cache
from typing import Any

import numpy as np

from calls.audio.codec import Samples
from calls.export.encoders import libsndfile
from calls.export.encoders.mp3 import Frames, Lengths, info_frame
from calls.export.encoders.sections import SECTION_SECONDS, Read, Section
from calls.export.plan import Plan

_COMPRESSION, _COMPRESSION_MPEG1 = 0.6, 0.66
"""A constant 64 kbit/s at 16 and 24 kHz, 128 at 32 and 48 kHz: transparent for speech, and its size
is known before it is encoded. More than 128 would leave no larger frame for joins.
"""

_LEAD = 16
"""Frames before a section that its encoder makes as well. From 10 on, the error at joins is that of
a file from one encoder.
"""

_TAIL = 4
"""Frames after a section whose samples its encoder has seen."""


class Mp3File:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._template, self._frames = _template(plan.sample_rate, plan.channels)
        frames = self._frames
        self._count = SECTION_SECONDS * plan.sample_rate // frames.samples
        self.lengths = Lengths(
            plan.sample_count, frames.samples, frames.size, self._count, frames.join_bytes
        )
        self.sections = list(self._make_sections())

    def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
        """Yields the bytes of a section, and empty ones while it works."""
        first, last = self._bounds(index)
        lead = first - max(first - _LEAD, 0)
        is_end = last == self.lengths.frames
        before: list[bytes] = []
        number = -lead  # of a frame within the section
        # Sent with the first samples, so that an error in them shows before anything is sent.
        head = b"" if index else info_frame(self._template, self.lengths)
        with closing(_encoded(self._plan, read())) as encoded:
            for frames in encoded:
                piece = [head] if frames else []
                head = b"" if frames else head
                for frame in frames:
                    if number < 0:
                        before.append(frame)
                    if number == 0 and index:
                        piece.append(self._frames.join(before, frame))
                    if 0 <= number < last - first:
                        is_joined = number == last - first - 1 and not is_end
                        piece.append(self._frames.widened(frame) if is_joined else frame)
                    number += 1
                yield b"".join(piece)
                if number >= last - first:
                    return

    def _bounds(self, index: int) -> tuple[int, int]:
        """Returns the first frame of a section, and the first after it."""
        return index * self._count, min((index + 1) * self._count, self.lengths.frames)

    def _make_sections(self) -> Iterator[Section]:
        frames, count = self._frames, self._plan.sample_count
        for index in range(-(-self.lengths.frames // self._count)):
            first, last = self._bounds(index)
            start = max(first - _LEAD, 0) * frames.samples
            is_end = last == self.lengths.frames
            end = count if is_end else min((last + _TAIL) * frames.samples, count)
            head = frames.join_bytes if index else frames.size
            yield Section(start, end, head + (last - first) * frames.size)


def _encoded(plan: Plan, blocks: Iterable[Samples]) -> Generator[list[bytes], None, None]:
    """Yields the frames that each block completes, without the empty one at the beginning, which
    stands for the Info frame.
    """
    _, frames = _template(plan.sample_rate, plan.channels)
    skipped, rest = False, b""
    encoder = libsndfile.encode(
        "mp3", plan.sample_rate, plan.channels, blocks, **_options(plan.sample_rate)
    )
    with closing(encoder):
        for written in encoder:
            rest += b"".join(written)
            if not skipped and len(rest) >= frames.size:
                skipped, rest = True, rest[frames.size :]
            whole = len(rest) // frames.size * frames.size if skipped else 0
            yield [rest[start : start + frames.size] for start in range(0, whole, frames.size)]
            rest = rest[whole:]


def _options(sample_rate: int) -> dict[str, Any]:
    level = _COMPRESSION_MPEG1 if sample_rate >= 32_000 else _COMPRESSION
    return {"bitrate_mode": "CONSTANT", "compression_level": level}


@cache
def _template(sample_rate: int, channels: int) -> tuple[bytes, Frames]:
    """Returns the first frame of a file with one sample, and what all frames have in common."""
    silence = np.zeros((1, channels), np.int16)
    options = _options(sample_rate)
    content = libsndfile.whole_file("mp3", sample_rate, channels, silence, **options)
    samples = 1152 if sample_rate >= 32_000 else 576  # half below MPEG 1
    size = len(content) // (Lengths(1, samples, 1).frames + 1)
    return content[:size], Frames(content[:4], samples, size)
