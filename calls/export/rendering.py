"""Samples of any stretch of a plan: missing time is digital silence, other rates are resampled,
tracks are summed.

The mix is a plain sum with saturation at full scale: no gain follows the speech, so nothing pumps,
and a single voice comes out as it went in. Samples of one track that lie at the same place (a clock
stepped back) are summed alike, so that nothing that was recorded is inaudible.

Resampling is done in windows of `WINDOW_SECONDS` counted from the start of the run, each with
`MARGIN_SECONDS` of its neighbours on both sides. So any range gives the very samples that the whole
gives, and needs no more audio than itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter
from uuid import UUID

import numpy as np
import soxr
from numpy.typing import NDArray

from calls.audio.codec import Samples
from calls.export.axis import SegmentRef
from calls.export.formats import Layout
from calls.export.plan import Plan
from calls.export.segments import Reader, read_stretch
from calls.export.track import ExportTrack, Piece

WINDOW_SECONDS = 10
MARGIN_SECONDS = (
    1  # soxr's filter is a few milliseconds long; whole seconds keep both rates in phase
)
BLOCK_SECONDS = 10
BLOCK_BYTES = 1 << 20
"""A block is as long as the shorter of these two says, whatever the number of channels."""

Sums = NDArray[np.int32]

Expect = Callable[[Iterator[SegmentRef]], None]
"""Is told, before blocks are rendered, which stretches they will need."""


class Renderer:
    """Renders a plan, best from the front to the back: a track keeps the segments that it is in."""

    def __init__(
        self, plan: Plan, read: Reader = read_stretch, expect: Expect = lambda _stretches: None
    ) -> None:
        self.plan = plan
        self._expect = expect
        self._tracks = [_TrackRenderer(track, plan.sample_rate, read) for track in plan.tracks]

    def blocks(self, first: int, last: int) -> Iterator[Samples]:
        """Samples [first, last) of the axis in blocks of shape (samples, channels)."""
        self._expect(self._stretches(first, last))
        step = max(
            1, min(BLOCK_SECONDS * self.plan.sample_rate, BLOCK_BYTES // (2 * self.plan.channels))
        )
        for start in range(first, last, step):
            yield self.render(start, min(start + step, last))

    def render(self, first: int, last: int) -> Samples:
        """Samples [first, last) of the axis, shape (last - first, channels)."""
        if self.plan.layout is Layout.TRACKS:
            channels = [saturated(track.sum(first, last)) for track in self._tracks]
            return np.stack(channels, axis=1)
        mix = np.zeros(last - first, np.int32)
        for track in self._tracks:
            # Each track is saturated first: it sounds in the mix as it does alone.
            mix += saturated(track.sum(first, last))
        return saturated(mix).reshape(-1, 1)

    def _stretches(self, first: int, last: int) -> Iterator[SegmentRef]:
        """Of all tracks, in the order in which blocks need them."""
        placed = merge(
            *(track.stretches_in(first, last) for track in self.plan.tracks), key=itemgetter(0)
        )
        return (stretch for _place, stretch in placed)


class _TrackRenderer:
    def __init__(self, track: ExportTrack, sample_rate: int, read: Reader) -> None:
        self._track = track
        self._sample_rate = sample_rate
        self._stretches = _Held(read)
        self._windows: dict[tuple[UUID, int], Samples] = {}

    def sum(self, first: int, last: int) -> Sums:
        """What lies in [first, last), summed where pieces overlap."""
        total = np.zeros(last - first, np.int32)
        for piece in self._track.pieces_in(first, last):
            begin, end = max(first, piece.first), min(last, piece.last)
            total[begin - first : end - first] += self._samples(
                piece, begin - piece.first, end - piece.first
            )
        self._stretches.release_unused()
        return total

    def _samples(self, piece: Piece, first: int, last: int) -> Samples:
        if piece.sample_rate == self._sample_rate:
            return self._stretches.samples(piece.stretches[0])[first:last]
        size = WINDOW_SECONDS * self._sample_rate
        parts = []
        for index in range(first // size, (last - 1) // size + 1):
            start = index * size
            parts.append(self._window(piece, index)[max(first - start, 0) : last - start])
        return np.concatenate(parts)

    def _window(self, piece: Piece, index: int) -> Samples:
        """The `index`-th window of a piece, at the export's rate."""
        key = (piece.stretches[0].segment_id, index)
        if key not in self._windows:
            # Two: a block that starts within a window ends in the next.
            while len(self._windows) >= 2:
                del self._windows[next(iter(self._windows))]
            self._windows[key] = self._resampled(piece, index)
        return self._windows[key]

    def _resampled(self, piece: Piece, index: int) -> Samples:
        start, rate = index * WINDOW_SECONDS, self._sample_rate
        begin, end = max(start - MARGIN_SECONDS, 0), start + WINDOW_SECONDS + MARGIN_SECONDS
        source = self._source(
            piece, begin * piece.sample_rate, min(end * piece.sample_rate, piece.sample_count)
        )
        resampled = soxr.resample(source.astype(np.float32), piece.sample_rate, rate)
        wanted = min(WINDOW_SECONDS * rate, piece.last - piece.first - start * rate)
        window = np.zeros(
            wanted, np.float32
        )  # rounding can make the last window a sample longer than its source
        heard = resampled[(start - begin) * rate :][:wanted]
        window[: len(heard)] = heard
        return saturated(np.rint(window))

    def _source(self, piece: Piece, first: int, last: int) -> Samples:
        """Samples [first, last) of a piece at its own rate."""
        origin = piece.stretches[0].start_sample
        parts = []
        for stretch in piece.stretches:
            start, end = stretch.start_sample - origin, stretch.end_sample - origin
            if start < last and first < end:
                parts.append(self._stretches.samples(stretch)[max(first - start, 0) : last - start])
        return np.concatenate(parts)


class _Held:
    """Segments that are being used: read once, let go when a block no longer needs them."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._held: dict[UUID, Samples] = {}
        self._used: set[UUID] = set()

    def samples(self, stretch: SegmentRef) -> Samples:
        self._used.add(stretch.segment_id)
        if stretch.segment_id not in self._held:
            self._held[stretch.segment_id] = self._read(stretch)
        return self._held[stretch.segment_id]

    def release_unused(self) -> None:
        """Lets go what has not been used since the last call."""
        self._held = {
            segment_id: samples
            for segment_id, samples in self._held.items()
            if segment_id in self._used
        }
        self._used.clear()


def saturated(values: NDArray[np.int32] | NDArray[np.float32]) -> Samples:
    """Clipped to 16 bits: too loud is flat, it never wraps around."""
    clipped: Samples = np.clip(values, -32_768, 32_767).astype(np.int16)
    return clipped
