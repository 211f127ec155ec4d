"""Finds packets of a socket that another socket of the call has stored already. PURE.

Two sockets may carry the same packets at the same time. Their timelines place equal packets up to
twice the tolerance of law 3 apart, so packets are compared with the stored audio around their
place. Digital silence and periodic sound are equal to themselves in many places: they count as
equal only at the distance of a neighbouring packet, or if the sockets have more than the tolerance
in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BYTES = 2
"""Bytes of a sample."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Contiguous PCM from the position `start` on the axis."""

    start: int
    pcm: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.pcm) // BYTES

    def holds(self, start: int, pcm: bytes) -> bool:
        """Whether it has exactly this PCM at this position."""
        return start >= self.start and self.pcm.startswith(pcm, (start - self.start) * BYTES)


@dataclass(frozen=True, slots=True)
class Match:
    """Samples `first` to `first + count` of the new audio are stored at `start`."""

    first: int
    count: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.count


def matches_of(
    new: Audio, stored: Sequence[Audio], *, packet: int, reach: int, tolerance: int
) -> list[Match]:
    """Returns the parts of `new` that are equal to `stored` audio at most `reach` samples away, in
    order of both. `packet`: samples of a packet; the stored audio is sorted, and does not overlap.
    """
    size = packet * BYTES
    search = _Search(
        [new.pcm[at : at + size] for at in range(0, len(new.pcm), size)],
        new.start,
        packet,
        stored,
        reach,
    )
    search.find_distinct()
    common = sum(max(0, min(one.end, new.end) - max(one.start, new.start)) for one in stored)
    if common > tolerance:
        search.find_ambiguous()
    return search.joined()


class _Search:
    """Positions of equal stored audio, by packet; None for packets without any."""

    def __init__(
        self, packets: list[bytes], start: int, packet: int, stored: Sequence[Audio], reach: int
    ) -> None:
        self._packets = packets
        self._start = start
        self._packet = packet
        self._stored = stored
        self._reach = reach
        self._found: list[int | None] = [None] * len(packets)

    def find_distinct(self) -> None:
        """Finds packets with only one equal place, and their neighbours at the same distance."""
        distance: int | None = None
        lowest = self._start - self._reach
        for number in range(len(self._packets)):
            if distance is not None and self._is_equal(number, distance, lowest):
                lowest = self._note(number, distance)
                continue
            places = self._places(number, lowest, self._end)
            if len(places) != 1:
                continue
            distance = places[0] - self._place(number)
            self._note_before(number, distance, lowest)
            lowest = self._note(number, distance)

    def find_ambiguous(self) -> None:
        """Finds equal places of the other packets between those found: their own, or the
        nearest.
        """
        highest = self._end
        limits = []
        for found in reversed(self._found):
            limits.append(highest)
            highest = highest if found is None else found
        lowest = self._start - self._reach
        for number, limit in enumerate(reversed(limits)):
            if (known := self._found[number]) is not None:
                lowest = known + self._length(number)
            elif self._is_equal(number, 0, lowest, limit):
                lowest = self._note(number, 0)
            elif places := self._places(number, lowest, limit):
                place = self._place(number)
                nearest = min(places, key=lambda found: abs(found - place))
                lowest = self._note(number, nearest - place)

    def joined(self) -> list[Match]:
        matches: list[Match] = []
        for number, found in enumerate(self._found):
            if found is None:
                continue
            first, count = number * self._packet, self._length(number)
            last = matches[-1] if matches else None
            if last and (last.first + last.count, last.end) == (first, found):
                matches[-1] = Match(last.first, last.count + count, last.start)
            else:
                matches.append(Match(first, count, found))
        return matches

    @property
    def _end(self) -> int:
        return self._place(len(self._packets)) + self._reach

    def _place(self, number: int) -> int:
        return self._start + number * self._packet

    def _length(self, number: int) -> int:
        return len(self._packets[number]) // BYTES

    def _note(self, number: int, distance: int) -> int:
        """Returns the lowest position of the packets after this one."""
        self._found[number] = found = self._place(number) + distance
        return found + self._length(number)

    def _note_before(self, number: int, distance: int, lowest: int) -> None:
        """Notes the packets before this one that are equal at the same distance."""
        for earlier in range(number - 1, -1, -1):
            if self._found[earlier] is not None or not self._is_equal(earlier, distance, lowest):
                return
            self._note(earlier, distance)

    def _is_equal(self, number: int, distance: int, lowest: int, limit: int | None = None) -> bool:
        start = self._place(number) + distance
        if start < lowest or (limit is not None and start + self._length(number) > limit):
            return False
        return any(one.holds(start, self._packets[number]) for one in self._stored)

    def _places(self, number: int, lowest: int, limit: int) -> list[int]:
        """Returns the positions of equal audio within reach; none for a constant or an incomplete
        packet.
        """
        pcm, place = self._packets[number], self._place(number)
        if self._length(number) < self._packet or pcm == pcm[:BYTES] * self._packet:
            return []
        first = max(lowest, place - self._reach)
        last = min(limit, place + self._packet + self._reach)
        places = []
        for one in self._stored:
            begin = max(0, first - one.start) * BYTES
            end = max(0, last - one.start) * BYTES
            at = one.pcm.find(pcm, begin, end)
            while at >= 0:
                if at % BYTES == 0:
                    places.append(one.start + at // BYTES)
                at = one.pcm.find(pcm, at + 1, end)
        return places
