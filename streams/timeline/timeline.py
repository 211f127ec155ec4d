"""The timeline of a call: from packets in order of arrival to runs and gaps on one axis. PURE.

The seven laws (docs/timeline.md describes each with its test): conservation, no cuts, alignment,
gaps are facts, order, a clock that jumps, one zero. The axis is counted in samples since the Unix
epoch at each track's rate, so tracks, sockets and processes agree on it without communication.

`Timeline` is plain data: it is written to disk between two journal files and continues after being
read back as if nothing had happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct, field

from streams.timeline import fast_path
from streams.timeline.fast_path import Arrived, Batch
from streams.timeline.track import LOOK_AHEAD_US, Gap, Run, Track

__all__ = ["Decided", "Gap", "Jump", "RateChange", "Run", "Timeline", "TrackAudio"]

JUMP_US = 3_600_000_000
"""Law 6: a timestamp further ahead than this of all audio of the call is a clock that jumped, not
silence.
"""

CONFIRMATION = 5
"""Packets in a row (100 ms) that must agree before a jump is accepted; fewer are strays, kept in
order of arrival.
"""

MAX_EPOCHS = 64
"""Clock epochs kept per call; beyond this the oldest is dropped."""


Packet = tuple[str, int | None, bytes]
"""Participant, timestamp in µs, PCM."""


class Jump(Struct, frozen=True):
    """Law 6, for the ledger: timestamps went from `expected_us` to `timestamp_us`; the audio
    continues at `place_us`.
    """

    participant: str
    place_us: int
    expected_us: int
    timestamp_us: int


class RateChange(Struct, frozen=True):
    participant: str
    start_sample: int
    sample_rate_before: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class TrackAudio:
    """Audio placed on one track since the last `take`, in order of the axis."""

    runs: list[Run]
    gaps: list[Gap]


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions since the last `take`. `duplicate` and `late` are numbers of packets."""

    tracks: dict[str, TrackAudio]
    jumps: list[Jump]
    rate_changes: list[RateChange]
    duplicate: int
    late: int


class Timeline(Struct):
    """The axis of one call: `push` packets as they arrive, `take` the decisions, `finish` when a
    socket closes.

    After `finish` it can continue with the packets of the call's next socket.
    """

    tracks: dict[str, Track] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=lambda: [0])  # clock shifts of this call, in µs
    latest_us: int | None = None  # the youngest place on any track
    jumps: list[Jump] = field(default_factory=list)
    rate_changes: list[RateChange] = field(default_factory=list)

    def push(
        self,
        participant: str,
        timestamp_us: int | None,
        pcm: bytes,
        sample_rate: int,
        connected_us: int,
    ) -> None:
        """Adds one packet. `connected_us` is the place of a first packet without timestamp if
        nothing else is known.
        """
        if not pcm:
            return
        track = self.tracks.get(participant)
        if track is None:
            track = self.tracks[participant] = Track(sample_rate, shift_us=self.epochs[-1])
        elif track.sample_rate != sample_rate:
            before = track.sample_rate
            self._resolve_strays(track)
            track.change_rate(sample_rate)
            self.rate_changes.append(RateChange(participant, track.end or 0, before, sample_rate))
        if timestamp_us is None:
            track.append(pcm, connected_us if self.latest_us is None else self.latest_us)
        elif repeats := track.remembered.repeats(timestamp_us, pcm):
            track.insert_repeated(timestamp_us + track.shift_us, pcm, repeats)
        else:
            self._push_timed(participant, track, timestamp_us, pcm)
        self._update_latest(track)
        track.place_due()

    def push_all(self, packets: Sequence[Packet], sample_rate: int, connected_us: int) -> None:
        """Adds packets with the same result as `push` for each of them.

        Uses the fast path if all packets allow it: tracks share nothing but the latest place of the
        call.
        """
        batches = self._plan(packets, sample_rate)
        if batches is None:
            for participant, timestamp_us, pcm in packets:
                self.push(participant, timestamp_us, pcm, sample_rate, connected_us)
            return
        for batch in batches:
            fast_path.apply(batch)
            self._update_latest(batch.track)

    def finish(self, next_gap: str = "not_received") -> None:
        """Places everything queued: the socket has closed. The next gap, if any, gets the reason
        `next_gap`.
        """
        for track in self.tracks.values():
            self._resolve_strays(track)
            track.place_all()
            track.gap_reason = next_gap

    def take(self) -> Decided:
        """Removes and returns the decisions since the last call."""
        tracks = {
            participant: TrackAudio(track.runs, track.gaps)
            for participant, track in self.tracks.items()
            if track.runs or track.gaps
        }
        taken = Decided(
            tracks,
            self.jumps,
            self.rate_changes,
            sum(track.duplicate for track in self.tracks.values()),
            sum(track.late for track in self.tracks.values()),
        )
        for track in self.tracks.values():
            track.runs, track.gaps, track.duplicate, track.late = [], [], 0, 0
            track.invalidate_envelope()
            track.remembered.drop_cache()
        self.jumps, self.rate_changes = [], []
        return taken

    def _plan(self, packets: Sequence[Packet], sample_rate: int) -> list[Batch] | None:
        """Plans one batch per track; None if one of the packets cannot take the fast path."""
        arrived: defaultdict[str, Arrived] = defaultdict(Arrived)
        for participant, timestamp_us, pcm in packets:
            if timestamp_us is None or not pcm:
                return None
            of_track = arrived[participant]
            of_track.stamps.append(timestamp_us)
            of_track.pcms.append(pcm)
        batches = []
        for participant, of_track in arrived.items():
            track = self.tracks.get(participant)
            if (
                track is None
                or track.sample_rate != sample_rate
                or not (batch := fast_path.plan(track, of_track))
            ):
                return None
            batches.append(batch)
        return batches

    def _push_timed(self, participant: str, track: Track, timestamp_us: int, pcm: bytes) -> None:
        """Queues a packet if the track's clock explains its place: not far ahead of the call, not
        too late for disorder.

        A packet that would be placed at once is too late: it could not be taken back if later
        packets reveal a step.
        """
        place_us = timestamp_us + track.shift_us
        newest_us, latest_us = track.newest_us, self.latest_us
        if newest_us is None:
            is_explained = latest_us is None or abs(place_us - latest_us) <= JUMP_US
        else:
            ahead_of = newest_us if latest_us is None or latest_us < newest_us else latest_us
            is_explained = newest_us - LOOK_AHEAD_US < place_us <= ahead_of + JUMP_US
        if not is_explained:
            track.strays.append((timestamp_us, pcm))
            if len(track.strays) >= CONFIRMATION:
                strays, track.strays = track.strays, []
                self._jump(participant, track, strays)
            return
        self._resolve_strays(track)
        track.insert(place_us, pcm)
        if track.late_streak.arrivals and (displaced := track.take_displaced()):
            self._jump(participant, track, displaced)

    def _jump(self, participant: str, track: Track, packets: list[tuple[int, bytes]]) -> None:
        """Law 6: the clock has stepped; the audio continues without a gap, in the epoch that
        explains the packets.
        """
        timestamp_us = packets[0][0]
        known = [
            place for place in (track.newest_end_us or None, self.latest_us) if place is not None
        ]
        next_us = max(known, default=timestamp_us)
        expected_us = next_us - track.shift_us
        # A known epoch that moves the timestamp to the end of the audio or later, else a new one.
        # The second track of a call to see a jump follows the first, and stays aligned with it.
        least = next_us if track.newest_us is None else track.newest_us
        for shift_us in reversed(self.epochs):
            if shift_us != track.shift_us and 0 <= timestamp_us + shift_us - least <= JUMP_US:
                break
        else:
            shift_us = next_us - timestamp_us
            self.epochs = [*self.epochs, shift_us][-MAX_EPOCHS:]
        track.shift_us = shift_us
        self.jumps.append(
            Jump(participant, timestamp_us + track.shift_us, expected_us, timestamp_us)
        )
        for timestamp, pcm in packets:
            self._push_timed(participant, track, timestamp, pcm)

    def _resolve_strays(self, track: Track) -> None:
        """Keeps unexplained, unconfirmed packets where they arrived (law 1)."""
        for timestamp_us, pcm in track.strays:
            track.late += 1
            track.keep(
                pcm, timestamp_us + track.shift_us if self.latest_us is None else self.latest_us
            )
        track.strays.clear()

    def _update_latest(self, track: Track) -> None:
        if track.newest_us is not None and (
            self.latest_us is None or track.newest_us > self.latest_us
        ):
            self.latest_us = track.newest_us
