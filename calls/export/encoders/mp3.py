"""The first frame of an MP3: the Info tag, which LAME writes last, computed in advance. PURE.

Players read the length from it, and decoders the number of samples that the encoder added at both
ends, so that an MP3 has the zero and the length of every other export. At a constant bit rate all
of it follows from the number of samples. Layout: "Mp3 Info Tag rev 1 specifications" of LAME.
"""

from __future__ import annotations

from dataclasses import dataclass

_ENCODER_DELAY = 576
"""Samples that LAME adds at the beginning when libsndfile drives it."""

_LEAST_PADDING = 576


@dataclass(frozen=True, slots=True)
class Lengths:
    """Sizes of an MP3 of `sample_count` samples per channel, in frames of `frame_samples` samples
    and `frame_bytes` bytes.
    """

    sample_count: int
    frame_samples: int
    frame_bytes: int

    @property
    def padding(self) -> int:
        """Samples that LAME adds at the end: up to the end of a frame, and at least the overlap of
        its decoder.
        """
        padding = self.frame_samples - (_ENCODER_DELAY + self.sample_count) % self.frame_samples
        return padding if padding >= _LEAST_PADDING else padding + self.frame_samples

    @property
    def frames(self) -> int:
        """Number of frames without the Info frame."""
        return (_ENCODER_DELAY + self.sample_count + self.padding) // self.frame_samples

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return (self.frames + 1) * self.frame_bytes


def info_frame(template: bytes, lengths: Lengths) -> bytes:
    """Returns the Info frame for `lengths`, given one from the same encoder and settings."""
    frame = bytearray(template)
    tag = frame.index(b"Info")
    frame[tag + 8 : tag + 12] = lengths.frames.to_bytes(4, "big")
    frame[tag + 12 : tag + 16] = _bounded(lengths.size)
    # The seek table: a straight line at a constant bit rate.
    frame[tag + 16 : tag + 116] = bytes(point * 256 // 100 for point in range(100))
    lame = tag + 120
    frame[lame + 21 : lame + 24] = (_ENCODER_DELAY << 12 | lengths.padding).to_bytes(3, "big")
    frame[lame + 28 : lame + 32] = _bounded(lengths.size)
    frame[lame + 32 : lame + 34] = bytes(2)  # the music's checksum: unknown, and no player reads it
    frame[lame + 34 : lame + 36] = checksum(frame[: lame + 34]).to_bytes(2, "big")
    return bytes(frame)


def checksum(content: bytes | bytearray) -> int:
    """Returns the CRC-16 with polynomial 0x8005, reflected, from 0 (CRC-16/ARC)."""
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def _bounded(size: int) -> bytes:
    return min(size, 0xFFFF_FFFF).to_bytes(4, "big")
