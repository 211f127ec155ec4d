"""Min/max pairs of a waveform, from stored waveforms if those are fine enough, otherwise from the
samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calls.audio.waveform import Cells, cells_of
from calls.export.axis import SegmentRef
from calls.export.plan import Plan
from calls.export.queries import stored_cells
from calls.export.rendering import Reader, Renderer
from calls.export.segments import read_segment
from calls.peaks import stored

REVISION = 2
"""Part of every waveform's ETag, as `plan.REVISION` is part of every file's."""

Extremes = NDArray[np.int16]
"""Lowest and highest sample of each point, shape (points, 2), full scale ±32768."""


def waveform(
    plan: Plan,
    points: int,
    on_step: Callable[[], None] = lambda: None,
    read: Reader = read_segment,
    *,
    is_coarse: bool = False,
) -> Extremes:
    """Returns the pairs of `points` points; with `is_coarse` of fewer, if stored waveforms are not
    fine enough. `on_step` is called often and may raise to stop.
    """
    if is_coarse:
        points = min(points, stored.most_points(plan))
    elif not stored.is_fine_enough(plan, points):
        return extremes(plan, Renderer(plan, read), points, on_step)
    cells_by_segment = stored_cells(track.participant_id for track in plan.tracks)

    def cells(segment: SegmentRef) -> Cells:
        found = cells_by_segment.get(segment.segment_id)
        return cells_of(read(segment), segment.sample_rate) if found is None else found

    return stored.extremes(plan, cells, points, on_step)


def extremes(
    plan: Plan, renderer: Renderer, points: int, on_block: Callable[[], None] = lambda: None
) -> Extremes:
    """Divides the samples of a plan with one channel among `points`, or among fewer if there are
    fewer samples.

    `on_block` is called before each block is rendered and may raise to stop.
    """
    assert plan.channels == 1, "a waveform is drawn of one channel"
    points = min(points, plan.sample_count)
    # Point i covers the samples from bounds[i] to bounds[i + 1].
    bounds = plan.first + np.arange(points, dtype=np.int64) * plan.sample_count // points
    lowest, highest = np.full(points, 32_767, np.int16), np.full(points, -32_768, np.int16)
    position = plan.first
    on_block()
    for block in renderer.all_blocks():
        end = position + len(block)
        touched = slice(
            np.searchsorted(bounds, position, "right") - 1, np.searchsorted(bounds, end, "left")
        )
        begins = np.maximum(bounds[touched] - position, 0)
        lowest[touched] = np.minimum(lowest[touched], np.minimum.reduceat(block[:, 0], begins))
        highest[touched] = np.maximum(highest[touched], np.maximum.reduceat(block[:, 0], begins))
        position = end
        on_block()
    return np.stack([lowest, highest], axis=1)
