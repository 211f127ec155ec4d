"""FLAC, sent while it is encoded. The number of samples in STREAMINFO is entered in advance; the
MD5 is unknown at that time and is marked as unknown, which the format allows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing

from calls.audio.codec import Samples
from calls.export.encoders import libsndfile
from calls.export.plan import Plan

_STREAMINFO_END = 42


def chunks(plan: Plan, blocks: Iterable[Samples]) -> Generator[bytes, None, None]:
    """Yields the file from its beginning. `blocks` are all samples of the plan, in blocks of shape
    (samples, channels).
    """
    header = _Header(plan.sample_count)
    encoder = libsndfile.encode("flac", plan.sample_rate, plan.channels, blocks)
    with closing(encoder):
        for written in encoder:
            if sendable := b"".join(map(header.rewrite, written)):
                yield sendable


class _Header:
    """Enters the number of samples in STREAMINFO (36 bits; RFC 9639, section 8.2)."""

    def __init__(self, sample_count: int) -> None:
        self._sample_count = sample_count
        self._head: bytes | None = b""

    def rewrite(self, written: bytes) -> bytes:
        """Returns bytes as they are sent, given those that the encoder writes, in order."""
        if self._head is None:
            return written
        head = self._head + written
        if len(head) < _STREAMINFO_END:
            self._head = head
            return b""
        self._head = None
        bits = int.from_bytes(head[21:26], "big") & ~(2**36 - 1) | self._sample_count
        return head[:21] + bits.to_bytes(5, "big") + head[26:]
