"""Recordings in memory for tests of planning and rendering: segments, and a reader that counts its
reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

import numpy as np

from calls.audio.codec import Samples, pcm_hash
from calls.export.axis import SegmentRef
from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest, Plan, Recording, plan_of
from calls.export.rendering import Renderer

EPOCH_SECONDS = 1_795_426_200
"""2026-11-23T09:30:00Z, so that positions are as large as in production."""

Placed = tuple[int, Samples]
"""First sample, counted from `EPOCH_SECONDS`, and samples."""


class Sealed:
    """Tracks of segments: `Sealed([[(0, samples), …], …])`, all at `rate` except tracks given as
    (rate, segments).
    """

    def __init__(
        self, tracks: Sequence[Sequence[Placed] | tuple[int, Sequence[Placed]]], rate: int = 16_000
    ) -> None:
        self.samples: dict[UUID, Samples] = {}
        self.reads: Counter[UUID] = Counter()
        refs = {}
        for track in tracks:
            own_rate, segments = track if isinstance(track, tuple) else (rate, track)
            refs[uuid4()] = [self._add(start, samples, own_rate) for start, samples in segments]
        self.recording = Recording(uuid4(), refs)

    @property
    def participants(self) -> list[UUID]:
        return list(self.recording.segments)

    def read(self, segment: SegmentRef) -> Samples:
        self.reads[segment.segment_id] += 1
        return self.samples[segment.segment_id]

    def plan(
        self, name: str = "wav", layout: Layout = Layout.TRACKS, participant: UUID | None = None
    ) -> Plan:
        return plan_of(self.recording, ExportRequest(FORMATS[name], layout, participant))

    def rendered(self, plan: Plan) -> Samples:
        """Returns all samples of a plan, shape (samples, channels)."""
        return np.concatenate(list(Renderer(plan, self.read).all_blocks()))

    def _add(self, start: int, samples: Samples, rate: int) -> SegmentRef:
        samples = np.asarray(samples, np.int16)
        sha256 = pcm_hash(samples.tobytes())
        segment = SegmentRef(uuid4(), EPOCH_SECONDS * rate + start, len(samples), rate, "", sha256)
        self.samples[segment.segment_id] = samples
        return segment
