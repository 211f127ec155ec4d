"""Renders the samples of a plan: missing time becomes digital silence, other rates are resampled,
tracks are summed. PURE.

The mix is a plain sum with saturation at full scale. No gain follows the speech, so nothing pumps,
and a single voice is unchanged. Samples of one track at the same position (a clock stepped back)
are summed as well, so that everything recorded is audible.

Resampling works in windows of `WINDOW_SECONDS` counted from the start of the run, each with
`MARGIN_SECONDS` of its neighbours on both sides. So a range has exactly the samples that it has in
the whole, and needs no other audio than its windows.
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
from calls.export.track import ExportTrack, Run

WINDOW_SECONDS = 10
MARGIN_SECONDS = 1
"""soxr's filter is a few milliseconds long; whole seconds keep both rates in phase."""
BLOCK_SECONDS = 10
BLOCK_BYTES = 1 << 20
"""A block has at most this duration and this size, however many channels there are."""

Sums = NDArray[np.int32]

Reader = Callable[[SegmentRef], Samples]
"""Returns the samples of a segment, shape (sample_count,). Raises `SegmentDamaged` and
`StoreUnavailable`.
"""

Announce = Callable[[Iterator[SegmentRef]], None]
"""Receives the segments that the next blocks will need, in the order of their use."""


class Renderer:
    """Renders a plan. Rendering front to back is cheapest: tracks keep their current segments."""

    def __init__(
        self, plan: Plan, read: Reader, announce: Announce = lambda _segments: None
    ) -> None:
        self.plan = plan
        self._announce = announce
        self._tracks = [_TrackRenderer(track, plan.sample_rate, read) for track in plan.tracks]

    def all_blocks(self) -> Iterator[Samples]:
        """Yields all samples of the plan, as `blocks` does."""
        return self.blocks(self.plan.first, self.plan.last)

    def blocks(self, first: int, last: int) -> Iterator[Samples]:
        """Yields samples [first, last) of the axis in blocks of shape (samples, channels)."""
        positioned = merge(
            *(track.segments_in(first, last) for track in self.plan.tracks), key=itemgetter(0)
        )
        self._announce(segment for _position, segment in positioned)
        step = max(
            1, min(BLOCK_SECONDS * self.plan.sample_rate, BLOCK_BYTES // (2 * self.plan.channels))
        )
        for start in range(first, last, step):
            yield self.render(start, min(start + step, last))

    def render(self, first: int, last: int) -> Samples:
        """Returns samples [first, last) of the axis, shape (last - first, channels)."""
        if self.plan.layout is Layout.TRACKS:
            channels = [saturated(track.sum(first, last)) for track in self._tracks]
            return np.stack(channels, axis=1)
        mix = np.zeros(last - first, np.int32)
        for track in self._tracks:
            # Each track is saturated first: it sounds in the mix as it does alone.
            mix += saturated(track.sum(first, last))
        return saturated(mix).reshape(-1, 1)


class _TrackRenderer:
    def __init__(self, track: ExportTrack, sample_rate: int, read: Reader) -> None:
        self._track = track
        self._sample_rate = sample_rate
        self._cache = _SegmentCache(read)
        self._windows: dict[tuple[UUID, int], Samples] = {}

    def sum(self, first: int, last: int) -> Sums:
        """Returns samples [first, last), summed where runs overlap."""
        total = np.zeros(last - first, np.int32)
        for run in self._track.runs_in(first, last):
            begin, end = max(first, run.first), min(last, run.last)
            total[begin - first : end - first] += self._samples(
                run, begin - run.first, end - run.first
            )
        self._cache.release_unused()
        return total

    def _samples(self, run: Run, first: int, last: int) -> Samples:
        """Returns samples [first, last) of a run at the export's rate."""
        if run.sample_rate == self._sample_rate:
            return self._cache.samples(run.segments[0])[first:last]
        size = WINDOW_SECONDS * self._sample_rate
        parts = []
        for index in range(first // size, (last - 1) // size + 1):
            start = index * size
            parts.append(self._window(run, index)[max(first - start, 0) : last - start])
        return np.concatenate(parts)

    def _window(self, run: Run, index: int) -> Samples:
        """Returns the `index`-th window of a run at the export's rate."""
        key = (run.segments[0].segment_id, index)
        if key in self._windows:
            return self._windows[key]
        # Two are kept: a block that starts within a window ends in the next.
        while len(self._windows) >= 2:
            del self._windows[next(iter(self._windows))]
        start, rate = index * WINDOW_SECONDS, self._sample_rate
        begin, end = max(start - MARGIN_SECONDS, 0), start + WINDOW_SECONDS + MARGIN_SECONDS
        source = self._source(
            run, begin * run.sample_rate, min(end * run.sample_rate, run.sample_count)
        )
        resampled = soxr.resample(source.astype(np.float32), run.sample_rate, rate)
        count = min(WINDOW_SECONDS * rate, run.last - run.first - start * rate)
        # Rounding can make the last window a sample longer than its source.
        window = np.zeros(count, np.float32)
        available = resampled[(start - begin) * rate :][:count]
        window[: len(available)] = available
        self._windows[key] = saturated(np.rint(window))
        return self._windows[key]

    def _source(self, run: Run, first: int, last: int) -> Samples:
        """Returns samples [first, last) of a run at its own rate."""
        origin = run.segments[0].start_sample
        parts = []
        for segment in run.segments:
            start, end = segment.start_sample - origin, segment.end_sample - origin
            if start < last and first < end:
                parts.append(self._cache.samples(segment)[max(first - start, 0) : last - start])
        return np.concatenate(parts)


class _SegmentCache:
    """Samples of the segments in use: read once, released when a block no longer needs them."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._samples: dict[UUID, Samples] = {}
        self._used: set[UUID] = set()

    def samples(self, segment: SegmentRef) -> Samples:
        self._used.add(segment.segment_id)
        if segment.segment_id not in self._samples:
            self._samples[segment.segment_id] = self._read(segment)
        return self._samples[segment.segment_id]

    def release_unused(self) -> None:
        """Releases segments not used since the last call."""
        self._samples = {
            segment_id: samples
            for segment_id, samples in self._samples.items()
            if segment_id in self._used
        }
        self._used.clear()


def saturated(values: NDArray[np.int32] | NDArray[np.float32]) -> Samples:
    """Returns the values clipped to 16 bits: overload flattens and never wraps around."""
    clipped: Samples = np.clip(values, -32_768, 32_767).astype(np.int16)
    return clipped
