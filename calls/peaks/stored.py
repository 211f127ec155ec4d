"""Min/max pairs from stored waveforms: a long call is drawn without decoding it. PURE.

Each point includes the pair that `calls.peaks.peaks` computes from the samples, plus at most a
tenth of a second at each end and 1/128 of full scale on either side. For the mix, the pairs of the
tracks are added, which is exact while one participant speaks at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calls.audio.waveform import CELLS_PER_SECOND, Cells, cell_size
from calls.export.axis import SegmentRef
from calls.export.plan import Plan

Positions = NDArray[np.int64]
Pairs = NDArray[np.int32]
"""Lowest and highest in the unit of cells, 1/128 of full scale, shape (n, 2)."""

CellsOf = Callable[[SegmentRef], Cells]

CELLS_PER_POINT = 2
"""Narrower points are computed from the samples: cells would show too much of their neighbours."""


def is_fine_enough(plan: Plan, points: int) -> bool:
    """Whether the points are wide enough for stored cells."""
    return plan.sample_count * CELLS_PER_SECOND >= CELLS_PER_POINT * points * plan.sample_rate


def most_points(plan: Plan) -> int:
    """Returns how many points stored cells can show: at least one."""
    cells = plan.sample_count * CELLS_PER_SECOND // plan.sample_rate
    return max(1, cells // CELLS_PER_POINT)


def extremes(
    plan: Plan, cells_of: CellsOf, points: int, on_segment: Callable[[], None] = lambda: None
) -> NDArray[np.int16]:
    """Returns lowest and highest of each point, shape (points, 2), full scale ±32768, for a plan
    with one channel.

    `on_segment` is called before the cells of each segment are read and may raise to stop.
    """
    assert plan.channels == 1, "a waveform is drawn of one channel"
    # Point i covers the samples from bounds[i] to bounds[i + 1].
    bounds = plan.first + np.arange(points + 1, dtype=np.int64) * plan.sample_count // points
    total = np.zeros((points, 2), np.int32)
    for track in plan.tracks:
        placed, cells = [], []
        for segment in track.segments:
            rate = segment.sample_rate
            first = plan.axis.place(segment.start_sample, rate)
            last = plan.axis.place(segment.end_sample, rate)
            if first < plan.last and plan.first < last:
                on_segment()
                placed.append(_Placed(first, last, cell_size(rate) * plan.sample_rate / rate))
                cells.append(cells_of(segment))
        if placed:
            total += _track_pairs(bounds, placed, cells)
    total[:, 1] += total[:, 1] >= 127  # the highest byte stands for all values up to full scale
    return np.clip(total * 256, -32_768, 32_767).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A segment on the plan's axis: samples `first` to `last` (exclusive)."""

    first: int
    last: int
    step: float
    """Samples of the axis per cell."""


def _track_pairs(bounds: Positions, placed: Sequence[_Placed], cells: Sequence[Cells]) -> Pairs:
    points = len(bounds) - 1
    lowest, highest = np.full(points, 127, np.int32), np.full(points, -128, np.int32)
    begins, ends = _cell_bounds(placed, [len(each) for each in cells])
    begins, ends = np.maximum(begins, bounds[0]), np.minimum(ends, bounds[-1])
    inside = begins < ends
    pairs = np.concatenate(cells)[inside]
    # A cell is narrower than a point, so it overlaps two points at most.
    for point in (
        np.searchsorted(bounds, begins[inside], "right") - 1,
        np.searchsorted(bounds, ends[inside]) - 1,
    ):
        np.minimum.at(lowest, point, pairs[:, 0])
        np.maximum.at(highest, point, pairs[:, 1])
    edges = np.maximum.accumulate([edge for each in placed for edge in (each.first, each.last)])
    lengths = np.diff(edges, prepend=edges[0])
    lengths[::2] = 0  # from the end of one segment to the beginning of the next
    # Samples of each point that are in some segment.
    covered = np.diff(np.rint(np.interp(bounds, edges, np.cumsum(lengths))))
    silent = covered < np.diff(bounds)
    lowest[silent], highest[silent] = np.minimum(lowest[silent], 0), np.maximum(highest[silent], 0)
    return np.stack([lowest, highest], axis=1)


def _cell_bounds(placed: Sequence[_Placed], counts: Sequence[int]) -> tuple[Positions, Positions]:
    """Returns the begin and end of each cell. The last cell of a segment ends with the segment."""
    firsts = np.array([each.first for each in placed])
    lasts = np.array([each.last for each in placed])
    steps = np.repeat(np.array([each.step for each in placed]), counts)
    index = np.arange(len(steps)) - np.repeat(np.cumsum(counts) - counts, counts)
    origin = np.repeat(firsts, counts)
    begins = origin + (index * steps).astype(np.int64)
    ends = origin + ((index + 1) * steps).astype(np.int64)
    return begins, np.minimum(ends, np.repeat(lasts, counts))
