"""Frames of an MP3 at a constant bit rate: their number and sizes, the Info frame, and joins of
sections that were encoded alone. PURE.

**The Info frame** is the first one; LAME writes it last, and here it is computed in advance.
Players read the length from it, and decoders the number of samples that the encoder added at both
ends, so that an MP3 has the zero and the length of every other export. At a constant bit rate all
of it follows from the number of samples. Layout: "Mp3 Info Tag rev 1 specifications" of LAME.

**Joins.** The audio of a frame may begin up to 255 or 511 bytes before the frame, in room that
earlier frames have left (the *bit reservoir*, ISO/IEC 11172-3, 2.4.1.7). The first frame of a
section expects bytes of its own encoder there. So the last frame of the section before has a higher
bit rate: its own audio stays where it was, and the bytes that it is larger by end with those that
the next frame expects. Every frame decodes to what its own encoder meant, and no other frame moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_ENCODER_DELAY = 576
"""Samples that LAME adds at the beginning when libsndfile drives it."""

_LEAST_PADDING = 576

_HEADER_BYTES = 4
_KILOBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of layer III by their index, for MPEG 1 and for MPEG 2 and 2.5 (ISO/IEC 13818-3)."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The common properties of all frames of a file: the samples per channel, and the size in
    bytes. `header` are their first four bytes.
    """

    header: bytes
    samples: int
    size: int

    @property
    def is_mpeg1(self) -> bool:
        return self.header[1] >> 3 & 3 == 3

    @property
    def reservoir(self) -> int:
        """Bytes before a frame at which its audio can begin, at most."""
        return 511 if self.is_mpeg1 else 255

    @property
    def join_bytes(self) -> int:
        """Bytes by which the last frame of a section is larger than the others."""
        return self.size * self._kilobits[self._wide] // self._kilobits[self._index] - self.size

    def widened(self, frame: bytes) -> bytes:
        """Returns a frame with the header of one that is larger by `join_bytes`."""
        return frame[:2] + bytes([frame[2] & 15 | self._wide << 4]) + frame[3:]

    def join(self, before: Iterable[bytes], frame: bytes) -> bytes:
        """Returns the end of the frame before `frame`: the bytes that `frame` expects there from
        its encoder, which wrote the frames `before`.
        """
        side = frame[_HEADER_BYTES:]
        begin = side[0] << 1 | side[1] >> 7 if self.is_mpeg1 else side[0]
        audio = b"".join(each[_HEADER_BYTES + self._side_info_bytes :] for each in before)
        assert begin <= len(audio), "the frames before hold what the frame expects"
        return bytes(self.join_bytes - begin) + audio[len(audio) - begin :]

    @property
    def _kilobits(self) -> tuple[int, ...]:
        return _KILOBITS[self.is_mpeg1]

    @property
    def _index(self) -> int:
        return self.header[2] >> 4

    @property
    def _wide(self) -> int:
        """The index of the lowest bit rate whose frames are larger by at least the reservoir."""
        assert self.header[1] & 1, "LAME writes frames without checksums, which would change"
        rates, least = self._kilobits, self.size + self.reservoir
        return next(
            index
            for index, rate in enumerate(rates)
            if self.size * rate >= least * rates[self._index]
        )

    @property
    def _side_info_bytes(self) -> int:
        is_mono = self.header[3] >> 6 == 3
        if self.is_mpeg1:
            return 17 if is_mono else 32
        return 9 if is_mono else 17


@dataclass(frozen=True, slots=True)
class Lengths:
    """Sizes of an MP3 of `sample_count` samples per channel, in frames of `frame_samples` samples
    and `frame_bytes` bytes; after every `section_frames` of them there are `join_bytes` more.
    """

    sample_count: int
    frame_samples: int
    frame_bytes: int
    section_frames: int = 0
    """Zero: the file has one section."""
    join_bytes: int = 0

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
        joins = (self.frames - 1) // self.section_frames if self.section_frames else 0
        return (self.frames + 1) * self.frame_bytes + joins * self.join_bytes


def info_frame(template: bytes, lengths: Lengths) -> bytes:
    """Returns the Info frame for `lengths`, given one from the same encoder and settings."""
    frame = bytearray(template)
    tag = frame.index(b"Info")
    frame[tag + 8 : tag + 12] = lengths.frames.to_bytes(4, "big")
    frame[tag + 12 : tag + 16] = _bounded(lengths.size)
    # The seek table: a straight line, because joins are spread evenly.
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
