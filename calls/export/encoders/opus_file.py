"""Opus in Ogg (RFC 7845) in sections, by libopus through libsndfile."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache

import numpy as np

from calls.export.encoders import libsndfile, ogg
from calls.export.encoders.opus import padded, padded_sizes
from calls.export.encoders.sections import SECTION_SECONDS, Read, Section
from calls.export.plan import Plan, etag_of

_PACKET = 960
"""Samples of a packet at 48 kHz, the rate at which Opus counts."""

_PER_SECOND = 48_000 // _PACKET

_FIRST_PACKETS = _PER_SECOND
"""Packets of the first section, which is short because the first byte waits for all of it."""

_LEAD = _PER_SECOND
"""Packets before a section that its encoder makes as well: it chooses between its modes by what it
has heard.
"""

_TAIL = 2
"""Packets after a section whose samples its encoder has seen."""

_EFFORTS = ((1, 1), (0.75, 1), (0.5, 1), (0.25, 1), (0.25, 2**-4), (0.25, 2**-8), (0.25, 0))
"""Share of the bit rate, and gain: the next is tried if a section is larger than announced. Speech
and music need the first, noise in one channel the second. For noise that is clipped at full scale
libopus exceeds every bit rate, so that it has to be quieter; silence always fits.
"""


@dataclass(frozen=True, slots=True)
class _Stream:
    """The common properties of all files of the same rate and channels."""

    heads: tuple[bytes, bytes]
    """The packets OpusHead and OpusTags."""
    silence: bytes
    """A packet of digital silence."""
    bits: int
    """Bits per second of a channel, as libsndfile chooses them."""
    channels: int

    @property
    def delay(self) -> int:
        """Samples that the encoder adds at the beginning ("pre-skip")."""
        return int.from_bytes(self.heads[0][10:12], "little")

    @property
    def streams(self) -> int:
        """Opus streams in a packet: more than one above two channels."""
        family = self.heads[0][18]
        return self.heads[0][19] if family else 1

    @property
    def packet_bytes(self) -> int:
        """The mean size of packets with audio, as announced. Of its bit rate the encoder uses 30 to
        75 % for speech in single channels, and 95 % in two that it encodes together.
        """
        percent = 104 if self.channels == 2 else 80
        return self.bits * self.channels * percent // (100 * 8 * _PER_SECOND)

    @property
    def page_packets(self) -> int:
        """Packets in a page, a second of them if they fit when they are four times as large."""
        return max(1, min(_PER_SECOND, ogg.MAX_SEGMENTS // (4 * self.packet_bytes // 255 + 1)))

    @property
    def largest(self) -> int:
        """Bytes of a packet, at most."""
        return ogg.MAX_SEGMENTS // self.page_packets * 255 - 1


@dataclass(frozen=True, slots=True)
class _Part:
    """Packets [first, last) of a section, and the number of its first page."""

    first: int
    last: int
    page: int
    is_silent: bool


class OpusFile:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stream = _stream(plan.sample_rate, plan.channels)
        self._serial = int(etag_of(plan).strip('"')[:8], 16)
        self._end = plan.sample_count * 48_000 // plan.sample_rate + self._stream.delay
        self._head = b"".join(
            ogg.page([packet], self._serial, number, 0, 0 if number else ogg.BEGIN)
            for number, packet in enumerate(self._stream.heads)
        )
        self._parts = list(self._make_parts())
        self.sections = [self._section(part) for part in self._parts]

    def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
        """Yields empty bytes while it works, and then the section."""
        part, stream = self._parts[index], self._stream
        if part.is_silent:
            yield self._pages(part, [stream.silence] * (part.last - part.first))
            return
        lead = part.first - max(part.first - _LEAD, 0)
        sizes = None
        for effort in _EFFORTS:
            packets: list[bytes] = []
            with closing(self._encoded(read, *effort)) as encoded:
                for more in encoded:
                    packets += more
                    yield b""
            packets = packets[lead : lead + part.last - part.first]
            lengths = [len(packet) for packet in packets]
            sizes = padded_sizes(lengths, self._packet_bytes(part), stream.largest)
            if sizes is not None:
                break
        assert sizes is not None, "packets of silence are smaller than announced"
        filled = (padded(*each, stream.streams) for each in zip(packets, sizes, strict=True))
        yield self._pages(part, list(filled))

    def _encoded(self, read: Read, share: float, gain: float) -> Generator[list[bytes], None, None]:
        """Yields the packets of each write."""
        blocks = read() if gain == 1 else ((block * gain).astype(np.int16) for block in read())
        level = 1 - (self._stream.bits * share - 6_000) / 250_000  # of libsndfile: 6 to 256 kbit/s
        encoder = libsndfile.encode(
            "opus",
            self._plan.sample_rate,
            self._plan.channels,
            blocks,
            compression_level=min(level, 1),
        )
        heads = len(self._stream.heads)
        with closing(encoder):
            for written in encoder:
                packets = list(ogg.packets_of(b"".join(written)))
                yield packets[heads:]
                heads = max(heads - len(packets), 0)

    def _pages(self, part: _Part, packets: list[bytes]) -> bytes:
        each = self._stream.page_packets
        pages = [] if part.first else [self._head]
        for number, start in enumerate(range(0, len(packets), each), part.page):
            last = min(part.first + start + each, part.last)
            is_end = last * _PACKET >= self._end
            position, flags = (self._end, ogg.END) if is_end else (last * _PACKET, 0)
            pages.append(
                ogg.page(packets[start : start + each], self._serial, number, position, flags)
            )
        return b"".join(pages)

    def _make_parts(self) -> Iterator[_Part]:
        count = -(-self._end // _PACKET)
        starts = [0, *range(_FIRST_PACKETS, count, SECTION_SECONDS * _PER_SECOND)]
        bounds = list(zip(starts, [*starts[1:], count], strict=True))
        audible = self._audible([self._samples(*bound) for bound in bounds])
        page = len(self._stream.heads)
        for index, (first, last) in enumerate(bounds):
            yield _Part(first, last, page, is_silent=index not in audible)
            page += -(-(last - first) // self._stream.page_packets)

    def _samples(self, first: int, last: int) -> tuple[int, int]:
        """Returns the samples that the encoder needs for packets [first, last)."""
        packet, count = self._plan.sample_rate // _PER_SECOND, self._plan.sample_count
        is_end = last * _PACKET >= self._end
        end = count if is_end else min((last + _TAIL) * packet, count)
        return max(first - _LEAD, 0) * packet, end

    def _audible(self, spans: list[tuple[int, int]]) -> set[int]:
        """Returns the indices of the spans in which any track has audio."""
        firsts, lasts = ([first for first, _ in spans], [last for _, last in spans])
        found: set[int] = set()
        for track in self._plan.tracks:
            for run in track.runs_in(self._plan.first, self._plan.last):
                begin = bisect_right(lasts, run.first - self._plan.first)
                found.update(range(begin, bisect_left(firsts, run.last - self._plan.first)))
        return found

    def _section(self, part: _Part) -> Section:
        pages = -(-(part.last - part.first) // self._stream.page_packets)
        size = pages * ogg.HEADER_BYTES + self._packet_bytes(part)
        if not part.first:
            size += len(self._head)
        return Section(*self._samples(part.first, part.last), size)

    def _packet_bytes(self, part: _Part) -> int:
        """Returns the bytes of a section's packets and their segment tables."""
        stream = self._stream
        each = len(stream.silence) if part.is_silent else stream.packet_bytes
        return (part.last - part.first) * ogg.cost(each)


@cache
def _stream(sample_rate: int, channels: int) -> _Stream:
    silence = np.zeros((sample_rate // 2, channels), np.int16)
    content = libsndfile.whole_file("opus", sample_rate, channels, silence)
    head, tags, *packets = ogg.packets_of(content)
    return _Stream((head, tags), packets[-2], 12_000 + sample_rate, channels)
