"""Stored waveforms -> min/max pairs: a long call is drawn without decoding it. PURE.

The points hold what `calls.peaks.peaks` would find, and at most a tenth of a second more at each
end, 1/128 of full scale more on either side. Of the mix they are the sum of what the tracks reach,
which is what the mix reaches where one speaks at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calls.audio.waveform import CELLS_PER_SECOND, Cells, cell_size
from calls.export.axis import SegmentRef
from calls.export.plan import Plan

Places = NDArray[np.int64]
Pairs = NDArray[np.int32]
"""Lowest and highest, in cells' bytes, shape (n, 2)."""

CellsOf = Callable[[SegmentRef], Cells]

CELLS_PER_POINT = 2
"""Points of fewer cells than this are found from the samples: they would show their neighbours."""


def is_enough(plan: Plan, points: int) -> bool:
    """Whether the points are wide enough for cells."""
    return plan.sample_count * CELLS_PER_SECOND >= CELLS_PER_POINT * points * plan.sample_rate


def extremes(
    plan: Plan, cells_of: CellsOf, points: int, on_stretch: Callable[[], None] = lambda: None
) -> NDArray[np.int16]:
    """Lowest and highest of each point, shape (points, 2), full scale ±32768.

    The plan has one channel. `on_stretch` is called before the cells of each stretch are asked for.
    """
    assert plan.channels == 1, "a waveform is drawn of one channel"
    # Point i covers the samples from bounds[i] to bounds[i + 1].
    bounds = plan.first + np.arange(points + 1, dtype=np.int64) * plan.sample_count // points
    total = np.zeros((points, 2), np.int32)
    for track in plan.tracks:
        heard = [placed for stretch in track.stretches if (placed := _placed(plan, stretch))]
        values = []
        for placed in heard:
            on_stretch()
            values.append(cells_of(placed.stretch))
        if heard:
            total += _track(bounds, heard, values)
    total[:, 1] += total[:, 1] >= 127  # the highest byte stands for all up to full scale
    return np.clip(total * 256, -32_768, 32_767).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A stretch, and where it lies on the plan's axis: samples `first` to `last` (exclusive)."""

    stretch: SegmentRef
    first: int
    last: int
    step: float
    """Length of a cell there."""


def _placed(plan: Plan, stretch: SegmentRef) -> _Placed | None:
    rate = stretch.sample_rate
    first, last = (
        plan.axis.place(stretch.start_sample, rate),
        plan.axis.place(stretch.end_sample, rate),
    )
    if last <= plan.first or plan.last <= first:
        return None
    return _Placed(stretch, first, last, cell_size(rate) * plan.sample_rate / rate)


def _track(bounds: Places, heard: Sequence[_Placed], values: Sequence[Cells]) -> Pairs:
    lowest, highest = (
        np.full(len(bounds) - 1, 127, np.int32),
        np.full(len(bounds) - 1, -128, np.int32),
    )
    begins, ends = _cell_places(heard, [len(cells) for cells in values])
    begins, ends = np.maximum(begins, bounds[0]), np.minimum(ends, bounds[-1])
    inside = begins < ends
    pairs = np.concatenate(values)[inside]
    # A cell is narrower than a point, so it lies in two at most.
    for point in (
        np.searchsorted(bounds, begins[inside], "right") - 1,
        np.searchsorted(bounds, ends[inside]) - 1,
    ):
        np.minimum.at(lowest, point, pairs[:, 0])
        np.maximum.at(highest, point, pairs[:, 1])
    silent = _covered(bounds, heard) < np.diff(bounds)
    lowest[silent], highest[silent] = np.minimum(lowest[silent], 0), np.maximum(highest[silent], 0)
    return np.stack([lowest, highest], axis=1)


def _cell_places(heard: Sequence[_Placed], counts: Sequence[int]) -> tuple[Places, Places]:
    """Where each cell begins and ends; the last of a stretch ends with it."""
    firsts, lasts = (
        np.array(places)
        for places in zip(*((each.first, each.last) for each in heard), strict=True)
    )
    steps = np.repeat(np.array([each.step for each in heard]), counts)
    index = np.arange(len(steps)) - np.repeat(np.cumsum(counts) - counts, counts)
    origin = np.repeat(firsts, counts)
    begins = origin + (index * steps).astype(np.int64)
    ends = origin + ((index + 1) * steps).astype(np.int64)
    return begins, np.minimum(ends, np.repeat(lasts, counts))


def _covered(bounds: Places, heard: Sequence[_Placed]) -> Places:
    """Samples of each point that some stretch covers."""
    edges = np.maximum.accumulate(
        np.array([edge for each in heard for edge in (each.first, each.last)])
    )
    lengths = np.diff(edges, prepend=edges[0])
    lengths[::2] = 0  # from the end of one to the beginning of the next
    before = np.interp(bounds, edges, np.cumsum(lengths))
    covered: Places = np.diff(np.rint(before).astype(np.int64))
    return covered
