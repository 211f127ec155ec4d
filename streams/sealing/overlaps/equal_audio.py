"""Finds packets of a socket that another socket of the call has stored already. PURE.

Two sockets may carry the same packets at the same time. Packets are compared with the stored audio
around their place:

1. Bytes that occur just once in the new and just once in the stored audio near it are the same
   packet, also far from its place: late or coarse timestamps put a socket's audio seconds beside
   the other's.
2. The other packets are compared within twice the tolerance of law 3, by which two timelines may
   differ, and only if the sockets have time in common. Digital silence and periodic sound are equal
   to themselves in many places: they count as equal only at the distance of a neighbouring packet,
   or if the sockets have more than the tolerance in common.
"""

from __future__ import annotations

from bisect import bisect_right
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
    """Samples `first` to `first + count` of the new audio are stored at `start`. `in_order`: as the
    others are; packets that were stored out of order are equal, but tell nothing about places.
    """

    first: int
    count: int
    start: int
    in_order: bool = True

    @property
    def end(self) -> int:
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Distances:
    """In samples. `packet`: its length; `reach`: where any equal packet is looked for; `far`: where
    one is that occurs just once; `tolerance`: the shortest common time for which
    silence counts.
    """

    packet: int
    reach: int
    far: int
    tolerance: int


def matches_of(
    new: Audio,
    stored: Sequence[Audio],
    distances: Distances,
    beside: Sequence[Audio] = (),
    common: int = 0,
) -> list[Match]:
    """Returns the parts of `new` that are equal to `stored` audio, in order of `new`. The stored
    audio is sorted, and does not overlap; `beside`: other runs of the same file; `common`:
    what these have in common with the other socket.
    """
    search = _Search(new, stored, distances)
    search.find_unique([new, *beside])
    shared = sum(max(0, min(one.end, new.end) - max(one.start, new.start)) for one in stored)
    search.find_distinct(is_near=shared > 0)
    begin_together = any(one.start == new.start for one in stored)  # so the timelines agree
    if shared and (shared + common > distances.tolerance or begin_together):
        search.find_ambiguous()
    return search.joined()


class _Search:
    """Positions of equal stored audio, by packet; None for packets without any."""

    def __init__(self, new: Audio, stored: Sequence[Audio], distances: Distances) -> None:
        self._packet, self._reach, self._far = distances.packet, distances.reach, distances.far
        size = self._packet * BYTES
        self._packets = [new.pcm[at : at + size] for at in range(0, len(new.pcm), size)]
        self._start = new.start
        self._stored = stored
        self._found: list[int | None] = [None] * len(self._packets)
        self._out_of_order: dict[int, int] = {}

    def find_unique(self, runs: Sequence[Audio]) -> None:
        """Finds the packets that occur once in the stored audio as far as they may be off, and once
        in the runs of the file that may be the same audio.
        """
        places: list[tuple[int, int]] = []
        for number, pcm in enumerate(self._packets):
            if not self._is_distinct(number):
                continue
            own, end, far = self._place(number), self._place(number + 1), self._far
            place = _only_place(pcm, self._stored, (own - far, end + far))
            if place is not None and (
                _only_place(pcm, runs, (own - 2 * far, end + 2 * far)) is not None
            ):
                places.append((number, place))
        in_order = _longest_rise([place for _, place in places], self._packet)
        for at_number, (number, place) in enumerate(places):
            if at_number in in_order:
                self._found[number] = place
            else:
                self._out_of_order[number] = place

    def find_distinct(self, *, is_near: bool) -> None:
        """Finds packets with only one equal place within reach, if the sockets are near each other,
        and the neighbours of all that are found, at the same distance.
        """
        distance: int | None = None
        lowest = self._lowest
        for number, limit in enumerate(self._limits()):
            if number in self._out_of_order:
                continue
            if number and self._found[number - 1] is None and not self._is_distinct(number):
                distance = None  # silence is equal at any distance: it needs a neighbour
            if (known := self._found[number]) is not None:
                distance = known - self._place(number)
            elif distance is not None and self._is_equal(number, distance, lowest, limit):
                lowest = self._note(number, distance)
                continue
            else:
                places = self._places(number, lowest, limit) if is_near else []
                if len(places) != 1:
                    continue
                distance = places[0] - self._place(number)
            self._note_before(number, distance, lowest)
            lowest = self._note(number, distance)

    def find_ambiguous(self) -> None:
        """Finds equal places of the other packets between those found: directly behind the packet
        found before them, at the distance of their neighbour, at the edge of stored audio, their
        own place, or the nearest.
        """
        lowest = self._lowest
        neighbour: list[int] = []  # its distance
        found_before: list[int] = []  # the end of the last packet found
        for number, limit in enumerate(self._limits()):
            if number in self._out_of_order:
                continue
            if (known := self._found[number]) is not None:
                lowest = known + self._length(number)
                found_before = [lowest]
                continue
            behind = [end - self._place(number) for end in found_before]
            near = (*behind, *neighbour, *self._edges(number), 0)
            equal = (one for one in near if self._is_equal(number, one, lowest, limit))
            if (distance := next(equal, None)) is not None:
                neighbour = [distance]
                lowest = self._note(number, distance)
                found_before = [lowest]
            elif places := self._places(number, lowest, limit):
                place = self._place(number)
                nearest = min(places, key=lambda found: abs(found - place))
                lowest = self._note(number, nearest - place)
                found_before = [lowest]

    def _edges(self, number: int) -> list[int]:
        """Returns the distances to the edges of stored audio that covers half of a packet."""
        place, length = self._place(number), self._length(number)
        distances = [one.start - place for one in self._stored]
        distances += [one.end - length - place for one in self._stored]
        return [one for one in distances if abs(one) <= length // 2]

    def joined(self) -> list[Match]:
        matches: list[Match] = []
        for number, found in enumerate(self._found):
            first, count = number * self._packet, self._length(number)
            if number in self._out_of_order:
                matches.append(Match(first, count, self._out_of_order[number], in_order=False))
                continue
            if found is None:
                continue
            last = matches[-1] if matches else None
            if last and last.in_order and (last.first + last.count, last.end) == (first, found):
                matches[-1] = Match(last.first, last.count + count, last.start)
            else:
                matches.append(Match(first, count, found))
        return matches

    @property
    def _lowest(self) -> int:
        return self._start - self._far

    def _limits(self) -> list[int]:
        """Returns the position before which each packet has to end: that of the next one found."""
        limits = []
        limit = self._place(len(self._packets)) + self._far
        for found in reversed(self._found):
            limits.append(limit)
            limit = limit if found is None else found
        return limits[::-1]

    def _is_distinct(self, number: int) -> bool:
        """Whether it is a complete packet, and not constant."""
        pcm = self._packets[number]
        return self._length(number) == self._packet and pcm != pcm[:BYTES] * self._packet

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
            is_known = self._found[earlier] is not None or earlier in self._out_of_order
            if is_known or not self._is_equal(earlier, distance, lowest):
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
        if not self._is_distinct(number):
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


def _only_place(pcm: bytes, audios: Sequence[Audio], within: tuple[int, int]) -> int | None:
    """Returns the only position of this PCM in audio between two positions; None if that is
    nowhere, at several places, or between two samples.
    """
    places = []
    for one in audios:
        begin, end = (max(0, at - one.start) * BYTES for at in within)
        at = one.pcm.find(pcm, begin, end)
        if at >= 0:
            places.append((at, one.start + at // BYTES))
            if len(places) > 1 or one.pcm.find(pcm, at + 1, end) >= 0:
                return None
    return places[0][1] if places and places[0][0] % BYTES == 0 else None


def _longest_rise(places: Sequence[int], step: int) -> set[int]:
    """Returns the indexes of the longest part of the places in which each one is at least a `step`
    behind the one before.
    """
    ends: list[int] = []  # by length: the lowest last place
    lasts: list[int] = []  # and its index
    before: list[int | None] = []
    for index, place in enumerate(places):
        length = bisect_right(ends, place - step)
        before.append(lasts[length - 1] if length else None)
        if length == len(ends) or place < ends[length]:
            ends[length : length + 1] = [place]
            lasts[length : length + 1] = [index]
    rise: set[int] = set()
    at = lasts[-1] if lasts else None
    while at is not None:
        rise.add(at)
        at = before[at]
    return rise
