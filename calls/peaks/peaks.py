"""Min/max pairs for a waveform: from what is stored of it where that is fine enough, otherwise from
the samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calls.audio.waveform import Cells, cells_of
from calls.export.axis import SegmentRef
from calls.export.plan import Plan
from calls.export.queries import stored_cells
from calls.export.rendering import Renderer
from calls.export.segments import Reader, read_stretch
from calls.peaks import stored as coarse

REVISION = 2
"""Part of every waveform's ETag, as `plan.REVISION` is of every file's."""

Extremes = NDArray[np.int16]
"""Lowest and highest sample of each point, shape (points, 2), full scale ±32768."""


def waveform(
    plan: Plan, points: int, on_step: Callable[[], None] = lambda: None, read: Reader = read_stretch
) -> Extremes:
    """The pairs of `points` points. `on_step` is called often; what it raises ends the work."""
    if not coarse.is_enough(plan, points):
        return extremes(plan, Renderer(plan, read), points, on_step)
    stored = stored_cells(track.participant_id for track in plan.tracks)

    def cells(stretch: SegmentRef) -> Cells:
        found = stored.get(stretch.segment_id)
        return cells_of(read(stretch), stretch.sample_rate) if found is None else found

    return coarse.extremes(plan, cells, points, on_step)


def extremes(
    plan: Plan, renderer: Renderer, points: int, on_block: Callable[[], None] = lambda: None
) -> Extremes:
    """Divides the plan's samples among `points`; fewer come out where there are fewer samples than
    points.

    The plan has one channel. `on_block` is called before each block is rendered; what it raises
    ends the work.
    """
    assert plan.channels == 1, "a waveform is drawn of one channel"
    points = min(points, plan.sample_count)
    # Point i covers the samples from bounds[i] to bounds[i + 1].
    bounds = plan.first + np.arange(points, dtype=np.int64) * plan.sample_count // points
    lowest, highest = np.full(points, 32_767, np.int16), np.full(points, -32_768, np.int16)
    place = plan.first
    on_block()
    for block in renderer.blocks(plan.first, plan.last):
        end = place + len(block)
        touched = slice(
            np.searchsorted(bounds, place, "right") - 1, np.searchsorted(bounds, end, "left")
        )
        begins = np.maximum(bounds[touched] - place, 0)
        lowest[touched] = np.minimum(lowest[touched], np.minimum.reduceat(block[:, 0], begins))
        highest[touched] = np.maximum(highest[touched], np.maximum.reduceat(block[:, 0], begins))
        place = end
        on_block()
    return np.stack([lowest, highest], axis=1)
