"""When the packets of a segment were stamped: the order of two sockets that carry a voice in turn.
PURE.

The timeline of a socket sees that socket's packets alone. Where it makes late or early audio
contiguous, its places do not tell which packets of the other socket belong between. Timestamps do:
in the order spoken, they never decrease.

A segment has one timestamp for each 20 ms from its first sample on: the sample on the axis at which
its packet was stamped, eight bytes each. It has none if all packets are where they were stamped. A
packet without one has the negative sample at which it seems to have been stamped: by its arrival,
else as the one before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from struct import pack, unpack_from

from streams.journal.records import Audio, Record
from streams.sealing.digest import PACKETS_PER_SECOND, SealedSegment, StreamState
from streams.sealing.overlaps.equal_audio import BYTES
from streams.timeline.track import LOOK_AHEAD_US

SIZE = 8
"""Bytes of one timestamp."""

MARGIN_US = 60_000_000
"""The clocks of two hosts differ by less, and a burst of the network arrives within it."""

Places = Mapping[bytes, Collection[int]]
"""Where the timestamps of all packets with some PCM lie on the axis."""


class Stamps:
    """The timestamps of the packets of one file, and of those that the files before it left
    undecided.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self._places: dict[str, dict[bytes, set[int]]] = {}  # by raw id
        self._timed: set[tuple[str, bytes]] = set()
        self._untimed: set[tuple[str, bytes]] = set()

    def note_waiting(self, state: StreamState) -> None:
        """Notes the undecided packets. `state`: before the file."""
        for raw_id, track in state.timeline.tracks.items():
            for packet in track.waiting:
                has_stamp = packet.timed and packet.by_arrival_us is None
                (self._timed if has_stamp else self._untimed).add((raw_id, packet.pcm))
                place_us = packet.place_us if has_stamp else packet.by_arrival_us
                if place_us is not None:
                    self._note(raw_id, packet.pcm, place_us)

    def added_to(
        self,
        segments: Sequence[SealedSegment],
        state: StreamState,
        ends_us: Collection[int | None],
    ) -> list[SealedSegment]:
        """Returns the segments of the file, of which those whose places do not show the order have
        timestamps. `state`: after the file; `ends_us`: when the other sockets ended, if they have:
        later packets need none.
        """
        known = [end_us for end_us in ends_us if end_us is not None]
        self._read(state, max(known) + MARGIN_US if len(known) == len(ends_us) else None)
        stamped: list[SealedSegment] = []
        for run in _contiguous(segments):
            raw_id = run[0].raw_id
            untimed = {pcm for of, pcm in self._untimed - self._timed if of == raw_id}
            stamped += _with_stamps(run, self._places.get(raw_id, {}), untimed)
        return stamped

    def _read(self, state: StreamState, until_us: int | None) -> None:
        """Notes the places of the packets that arrived until then, or of all."""
        delay_us: int | None = None  # of the last packet with a timestamp: it places those without
        for record in self._records:
            if not isinstance(record, Audio) or (until_us and record.arrived_us > until_us):
                continue
            stamp_us, raw_id = record.timestamp_us, state.voices.get(record.voice, "")
            of_kind = self._untimed if stamp_us is None else self._timed
            of_kind.add((raw_id, record.pcm))
            if stamp_us is not None:
                delay_us = record.arrived_us - stamp_us
            elif delay_us is not None:
                stamp_us = record.arrived_us - delay_us
            if stamp_us is not None:
                for shift_us in state.timeline.epochs:
                    self._note(raw_id, record.pcm, stamp_us + shift_us)

    def _note(self, raw_id: str, pcm: bytes, place_us: int) -> None:
        self._places.setdefault(raw_id, {}).setdefault(pcm, set()).add(place_us)


def _contiguous(segments: Iterable[SealedSegment]) -> list[list[SealedSegment]]:
    runs: list[list[SealedSegment]] = []
    for segment in segments:
        last = runs[-1][-1] if runs else None
        if (
            last
            and (last.raw_id, last.sample_rate) == (segment.raw_id, segment.sample_rate)
            and last.end_sample == segment.start_sample
        ):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def part_of(stamps: bytes | None, first: int, last: int, packet: int) -> bytes | None:
    """Returns the timestamps of samples `first` to `last` of a segment."""
    if stamps is None:
        return None
    return stamps[first // packet * SIZE : -(-last // packet) * SIZE]


def stamp_at(stamps: bytes, sample: int, packet: int) -> int:
    """Returns the timestamp of a sample of a segment."""
    return abs(_signed_at(stamps, sample, packet))


def is_untimed(stamps: bytes, sample: int, packet: int) -> bool:
    """Whether the packet of a sample of a segment has no timestamp."""
    return _signed_at(stamps, sample, packet) < 0


def _signed_at(stamps: bytes, sample: int, packet: int) -> int:
    at: int = unpack_from("<q", stamps, min(sample // packet * SIZE, len(stamps) - SIZE))[0]
    return at


def _with_stamps(
    run: Sequence[SealedSegment], known: Places, untimed: Collection[bytes]
) -> list[SealedSegment]:
    rate, start = run[0].sample_rate, run[0].start_sample
    packet = max(1, rate // PACKETS_PER_SECOND)
    pcm, size = b"".join(segment.pcm for segment in run), packet * BYTES
    found = [
        _stamp_of(known.get(pcm[at : at + size], ()), start + at // BYTES, rate)
        for at in range(0, len(pcm), size)
    ]
    stamps = _in_order(found)
    pcms = (pcm[at : at + size] for at in range(0, len(pcm), size))
    stamps = [
        -stamp if packet_pcm in untimed else stamp
        for stamp, packet_pcm in zip(stamps, pcms, strict=False)
    ]
    if all(stamp == start + number * packet for number, stamp in enumerate(stamps)):
        return list(run)
    packed = pack(f"<{len(stamps)}q", *stamps)
    stamped, at = [], 0
    for segment in run:
        own = part_of(packed, at, at + segment.sample_count, packet)
        stamped.append(replace(segment, stamps=own))
        at += segment.sample_count
    return stamped


def _stamp_of(places_us: Iterable[int], place: int, rate: int) -> int | None:
    """Returns the only timestamp that a packet may have, as a sample on the axis."""
    stamps = {place_us * rate // 1_000_000 for place_us in places_us}
    near = [stamp for stamp in stamps if abs(stamp - place) * 1_000_000 <= LOOK_AHEAD_US * rate]
    return near[0] if len(near) == 1 else None


def _in_order(stamps: Sequence[int | None]) -> list[int]:
    """Returns the longest part of the timestamps that never decreases; the others are wrong, or
    unknown, and replaced by the one before. Empty, if none is known.
    """
    ends: list[int] = []  # by length: the lowest last timestamp
    lengths = []
    for stamp in stamps:
        length = 0 if stamp is None else bisect_right(ends, stamp) + 1
        if stamp is not None:
            ends[length - 1 : length] = [stamp]
        lengths.append(length)
    wanted, after = len(ends), ends[-1] if ends else 0
    filled: list[int] = []
    for stamp, length in zip(reversed(stamps), reversed(lengths), strict=True):
        if stamp is not None and length == wanted and stamp <= after:
            wanted, after = wanted - 1, stamp
            filled.append(stamp)
        else:
            filled.append(-1)
    filled.reverse()
    for number, stamp in enumerate(filled):
        if stamp < 0:
            filled[number] = filled[number - 1] if number else after
    return filled if ends else []
