"""The clock of a call: which epoch of the sender's clock explains a timestamp. PURE.

An *epoch* is the time between two jumps of the sender's clock, known by the shift that turns its
timestamps into places. All tracks of a call have the same sender, so they follow the same epochs:
the first track that shows a jump begins an epoch, and all others enter it with their next packet.

All but `begin_epoch` and `note_first` are questions that change nothing; `Timeline` asks them and
acts.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from streams.timeline.arrival import (
    RELIABLE_US,
    ArrivalClock,
    reliable_us,
    seeming_us,
    start_by,
    start_of,
)
from streams.timeline.track import Track
from streams.timeline.waiting import (
    JUMP_US,
    LOOK_AHEAD_US,
    MAX_STRAYS,
    PACKET_US,
    PAUSE_US,
    TOLERANCE_US,
    Timed,
    has_hole,
)

CONFIRMATION = 5
"""Packets in a row (100 ms) that must agree before a jump is accepted; fewer are strays, kept in
order of arrival.
"""

MANY_LATE = 2 * CONFIRMATION
"""Late packets in a row, at the pace of speech, that are no disorder even within the look-ahead."""

EARLY_STRAY_US = 60_000_000
"""A clock known from fewer than `CONFIRMATION` packets gives way to one this far ahead of it; if
the packets arrive as they are spoken, to any that is not explained by a pause.
"""

MAX_EPOCHS = 64
"""Clock epochs kept per call; beyond this the oldest is dropped."""

RESUMED_US = 120_000
"""After a jump, audio is contiguous if arrival times leave a pause of less than this."""

LONGEST_STALL_US = 5_500_000
"""A packet after a pause that arrives later than this was not held up by the network."""


class CallClock(Struct):
    """State of the clock; plain data, stored under these names."""

    epochs: list[int] = field(default_factory=lambda: [0])  # shifts in µs, the latest last
    latest_us: int | None = None  # the youngest place on any track
    arrival: ArrivalClock = field(default_factory=ArrivalClock)
    unproven_us: int = 0  # the sum of all pauses for which arrival is no evidence

    def begin_epoch(self, shift_us: int) -> None:
        """Makes this epoch, which may be a known one, the latest of the call."""
        self.epochs = [*(one for one in self.epochs if one != shift_us), shift_us][-MAX_EPOCHS:]

    def note_first(self, track: Track, last: Timed) -> None:
        """Notes the epoch of strays of a track, of which this is the last, if it may go on: on the
        next socket, or at another rate.
        """
        place_us = track.newest_end_us - track.duration_us(last.pcm)
        self.epochs = [place_us - last.timestamp_us, *self.epochs][-MAX_EPOCHS:]

    def follows(self, track: Track, place_us: int, arrived_us: int | None) -> bool:
        """Whether a packet is so close to its track's audio, or so little late, that its own epoch
        explains it.
        """
        newest_us = track.newest_us
        if newest_us is None or track.strays or track.shift_us != self.epochs[-1]:
            return False
        behind_us = newest_us - place_us
        if behind_us <= TOLERANCE_US:
            return behind_us >= -PAUSE_US
        behind_us += max(0, self.arrival.passed_us(arrived_us) - LONGEST_STALL_US)
        return len(self.epochs) == 1 and behind_us < LOOK_AHEAD_US

    def epoch_of(self, track: Track, packet: Timed) -> int | None:
        """Returns the shift of the epoch that explains the packet; None if none does, or if later
        packets must confirm it.
        """
        own_us, newest_us = packet.timestamp_us + track.shift_us, track.newest_us
        if newest_us is not None and (
            self._oldest_us(track, packet) < own_us <= self._furthest_us(track, packet)
        ):
            is_next = -PAUSE_US <= newest_us - own_us <= TOLERANCE_US
            # in an epoch that others have left, too late for it: its pause was as long as the step
            is_next &= track.shift_us == self.epochs[-1] or not self._is_late(packet, own_us)
            is_own = is_next or len(self.epochs) == 1
            return track.shift_us if is_own else self._epoch_of_next(track, packet)
        resumed = self._epoch_of_resumed(track, packet)
        return self._contiguous_epoch(track, packet.timestamp_us) if resumed is None else resumed

    def may_be_pause(self, track: Track, packets: Sequence[Timed]) -> bool:
        """Whether these packets may follow a pause of their track, although they seem to lie in the
        future: arrival times prove nothing yet.
        """
        is_live = track.arrive_live(packets)
        place_us = packets[0].timestamp_us + track.shift_us
        last_us = max(packet.timestamp_us for packet in packets) + track.shift_us
        limit_us = self._limit_us(packets[0].arrived_us)
        latest_us = place_us if self.latest_us is None else self.latest_us
        youngest_us = last_us if limit_us is None else limit_us + EARLY_STRAY_US
        if not is_live and last_us <= youngest_us and self._is_held_up(track, packets[0]):
            return True  # the burst after a stall of the network
        if self.arrival.is_paced or (self.arrival.is_shown and is_live):
            return False
        if is_live and limit_us is not None:  # of a new socket, perhaps on another host
            oldest_us = track.newest_us
            if oldest_us is None:  # audio of the socket before it is no younger
                oldest_us = min(latest_us, limit_us) - LOOK_AHEAD_US
            oldest_us = max(oldest_us, limit_us - EARLY_STRAY_US)
            return oldest_us < place_us and last_us <= youngest_us + LOOK_AHEAD_US
        if track.newest_us is None:
            return latest_us - place_us <= JUMP_US and last_us - latest_us <= self.left_us
        youngest_us = max(track.newest_us, latest_us) + self.left_us
        if limit_us is not None:
            youngest_us = max(youngest_us, limit_us + min(EARLY_STRAY_US, self.left_us))
        return track.newest_us < place_us and last_us <= youngest_us

    def note_pause(self, track: Track, packet: Timed, place_us: int) -> None:
        """Notes a pause before an accepted packet, as far as arrival is no evidence of it."""
        known = (track.newest_us, self.latest_us, self._limit_us(packet.arrived_us))
        known_us = max((one for one in known if one is not None), default=place_us)
        self.unproven_us += max(0, place_us - known_us - LOOK_AHEAD_US)

    @property
    def left_us(self) -> int:
        """How long pauses may still be for which arrival is no evidence."""
        return max(0, JUMP_US - self.unproven_us)

    def is_early_stray(self, track: Track, packets: Sequence[Timed]) -> bool:
        """Whether packets contradict a clock that is known from fewer of them."""
        place_us = packets[0].timestamp_us + track.shift_us
        known_us = track.newest_us if self.latest_us is None else self.latest_us
        assert known_us is not None, "nothing contradicts the first packet of a call"
        furthest_us = LOOK_AHEAD_US if track.arrive_live(packets) else EARLY_STRAY_US
        return not known_us - LOOK_AHEAD_US < place_us <= known_us + furthest_us

    def number_after(self, track: Track, packets: Sequence[Timed], next_us: int) -> int:
        """Returns how many of these packets, with wrong timestamps, belong directly after the audio
        of their track; the others belong directly before the place `next_us`: by arrival, or if
        there was a pause.
        """
        if track.newest_us is None:
            return 0
        length_us = sum(track.duration_us(packet.pcm) for packet in packets)
        space_us = next_us - track.newest_end_us - length_us
        if abs(space_us) <= TOLERANCE_US:
            return len(packets)
        for number, packet in enumerate(packets):
            place_us = self._by_arrival_us(packet.arrived_us)
            if place_us is None and space_us > 0:
                return number
            if place_us is not None and abs(next_us - place_us) < abs(
                track.newest_end_us - place_us
            ):
                return number
        return len(packets)

    def place_in_another(self, track: Track, stray: Timed, next_us: int) -> int | None:
        """Returns the place of a stray in another epoch that explains it, if that is between the
        audio of its track and the place of the next packet, or a hole: it was out of order.
        """
        if not stray.is_stamped:
            return None
        shift_us = self.epoch_of(track, stray)
        places = [stray.timestamp_us + (shift_us or 0)]
        if shift_us is None or shift_us == track.shift_us:
            others = [stray.timestamp_us + one for one in self.epochs if one != track.shift_us]
            length_us = track.duration_us(stray.pcm)
            if holes := [one for one in others if has_hole(track.waiting, one, length_us)]:
                return holes[0]
            places = [one for one in others if self._is_on_time(stray, one)]
        begun = track.newest_us is not None
        oldest_us = track.newest_end_us - TOLERANCE_US if begun else min(places, default=0)
        return next((one for one in places if oldest_us <= one < next_us), None)

    def may_follow_pause(self, track: Track, arrived_us: int | None) -> bool:
        """Whether a packet without timestamp arrives so late that its track may have paused."""
        place_us = self._by_arrival_us(arrived_us) if self.arrival.has_begun else None
        if place_us is None or track.newest_us is None:
            return False
        return place_us > track.newest_end_us + RESUMED_US

    def resumed_us(self, track: Track, stray: Timed, *, is_live: bool) -> int | None:
        """Returns the place of a packet without a usable timestamp, if its arrival shows a pause of
        its track before it. A short pause before one without timestamp may be a delay. `is_live`:
        whether it is one of several that arrive as they are spoken.
        """
        is_known = self.arrival.is_paced or is_live
        place_us = self._by_arrival_us(stray.arrived_us) if is_known else None
        least_us = RESUMED_US if stray.is_stamped else LOOK_AHEAD_US
        is_resumed = place_us is not None and place_us > track.newest_end_us + least_us
        return place_us if is_resumed else None

    def has_stepped_back(self, track: Track, packet: Timed) -> bool:
        """Whether the late packets of a track, of which this is the last, arrive as they are spoken
        and are too late or too many for disorder: then the clock has stepped into a pause of the
        track.
        """
        streak, newest_us = track.late_streak, track.newest_us or 0
        if len(streak.arrivals) < CONFIRMATION or newest_us - streak.lowest_us <= TOLERANCE_US:
            return False
        expected_us = self._by_arrival_us(packet.arrived_us)
        first_us = streak.arrived[0] if streak.arrived else None
        if first_us is None or packet.arrived_us is None or expected_us is None:
            return False
        length_us = streak.samples * 1_000_000 // track.sample_rate - track.duration_us(packet.pcm)
        is_live = 2 * (packet.arrived_us - first_us) > length_us
        late_us = expected_us - packet.timestamp_us - track.shift_us
        is_many = self.arrival.is_paced and len(streak.arrivals) >= MANY_LATE
        stamps = _latest(track)
        return is_live and late_us > (seeming_us(packet, stamps) if is_many else LOOK_AHEAD_US)

    def epoch_after_jump(self, track: Track, packets: Sequence[Timed]) -> int:
        """Returns the shift of the epoch that these packets of a track begin: a known one if it
        explains them, else a new one.
        """
        start_us = start_of(packets, track.sample_rate)
        expected_us, is_contiguous = self._expected_us(track, packets, start_us)
        reach_us = TOLERANCE_US if is_contiguous else LOOK_AHEAD_US
        return self.nearest_us(track, expected_us - start_us - track.shift_us, reach_us)

    def nearest_us(self, track: Track, by_us: int, reach_us: int = LOOK_AHEAD_US) -> int:
        """Returns the shift of the known epoch nearest to the track's moved by `by_us`; this one if
        none is within reach.
        """
        moved_us = track.shift_us + by_us
        known = [shift_us for shift_us in self.epochs[::-1] if shift_us != track.shift_us]
        best = min(known, key=lambda shift: abs(shift - moved_us), default=moved_us)
        return best if abs(best - moved_us) <= reach_us else moved_us

    def _oldest_us(self, track: Track, packet: Timed) -> int:
        """Returns the place after which the packet may be out of order: if it arrives after the
        youngest one by more than the network stands still, that is no disorder.
        """
        assert track.newest_us is not None, "the track has begun"
        own_us, oldest_us = packet.timestamp_us + track.shift_us, track.newest_us - LOOK_AHEAD_US
        if own_us >= track.newest_us - TOLERANCE_US:
            return oldest_us
        if self.arrival.is_too_late(own_us, packet.arrived_us):
            return own_us
        passed_us = self.arrival.passed_us(packet.arrived_us)
        return oldest_us + max(0, passed_us - LONGEST_STALL_US)

    def _furthest_us(self, track: Track, packet: Timed) -> int:
        """Returns the youngest place at which the packet follows its track's audio."""
        furthest_us = track.newest_end_us + LOOK_AHEAD_US
        limit_us = self._limit_us(packet.arrived_us) if self.arrival.is_paced else None
        if limit_us is None:
            return furthest_us
        reliable = reliable_us(packet, _latest(track))
        return min(furthest_us, max(limit_us, track.newest_end_us) + reliable)

    def _epoch_of_next(self, track: Track, packet: Timed) -> int:
        """Returns the epoch of a packet that follows its track's audio closely enough. After a
        small step another epoch may explain it better than a gap or disorder.
        """
        assert track.newest_us is not None, "the track has begun"
        own, timestamp_us = track.shift_us, packet.timestamp_us
        if track.newest_us > timestamp_us + own:
            # The late packets before it may have shown the same step, so they come first.
            latest, late_us = self.epochs[-1], track.late_streak.samples * 1_000_000
            late_us //= track.sample_rate
            return latest if track.is_contiguous(timestamp_us + latest, late_us) else own
        other = self._contiguous_epoch(track, timestamp_us)
        if other is None:
            resumed = self._epoch_of_resumed(track, packet)
            return own if resumed is None else resumed
        limit_us = self._limit_us(packet.arrived_us) if self.arrival.is_paced else None
        # The time has passed: audio is missing.
        if limit_us is not None and timestamp_us + own - limit_us <= (own - other) // 2:
            return own
        return other

    def _epoch_of_resumed(self, track: Track, packet: Timed) -> int | None:
        """Returns the epoch of the first packet of a track, or of one after a pause: of its own and
        the call's latest the one in which it is least late; None if it lies in the future of both.
        """
        candidates = [track.shift_us, self.epochs[-1]]
        if track.newest_us is None:
            candidates += reversed(self.epochs)
        plausible = [
            shift_us
            for shift_us in candidates
            if self._is_plausible(track, packet, packet.timestamp_us + shift_us)
        ]
        return min(plausible, key=lambda one: self._lateness(one, packet), default=None)

    def _contiguous_epoch(self, track: Track, timestamp_us: int) -> int | None:
        """Returns another known epoch in which the packet directly follows its track's audio."""
        for shift_us in reversed(self.epochs):
            if shift_us != track.shift_us and track.is_contiguous(timestamp_us + shift_us):
                return shift_us
        return None

    def _is_plausible(self, track: Track, packet: Timed, place_us: int) -> bool:
        """Whether the packet can lie there, after a pause of its track or as its first."""
        if self.latest_us is None:
            return True
        if not self._is_resumed(track, place_us) or self._is_late(packet, place_us):
            return False
        limit_us = self._limit_us(packet.arrived_us)
        youngest_us = self.latest_us if limit_us is None else max(self.latest_us, limit_us)
        oldest_us = self.latest_us if limit_us is None else min(self.latest_us, limit_us)
        is_known = self.arrival.is_paced and limit_us is not None
        reach_us = reliable_us(packet, _latest(track)) if is_known else LOOK_AHEAD_US
        return oldest_us - LOOK_AHEAD_US < place_us <= youngest_us + reach_us

    @staticmethod
    def _is_resumed(track: Track, place_us: int) -> bool:
        """Whether a packet there follows a pause of its track, or is its first."""
        return track.newest_us is None or place_us > track.newest_us

    def _is_held_up(self, track: Track, packet: Timed) -> bool:
        """Whether a packet after a pause is so late that the network may have stood still."""
        place_us = packet.timestamp_us + track.shift_us
        is_recent = place_us > (self.latest_us or 0) - LONGEST_STALL_US
        return is_recent and self._is_resumed(track, place_us) and self._is_late(packet, place_us)

    def _is_late(self, packet: Timed, place_us: int) -> bool:
        """Whether the packet arrives later after that place than a network delays packets. If
        others have arrived since, it has not stood still; and another host may have another time.
        """
        if packet.arrived_us is None or self.latest_us is None or self.arrival.is_slow:
            return False
        most_us = LONGEST_STALL_US if place_us >= self.latest_us else LOOK_AHEAD_US
        most_us += 0 if self.arrival.has_begun else EARLY_STRAY_US
        return self.arrival.lateness_us(place_us, packet.arrived_us) > most_us

    def _is_on_time(self, packet: Timed, place_us: int) -> bool:
        """Whether the packet arrives when one that was spoken there would."""
        expected_us = self._nominal_us(packet.arrived_us)
        return expected_us is not None and abs(place_us - expected_us) <= RELIABLE_US

    def _lateness(self, shift_us: int, packet: Timed) -> int:
        """Returns the distance in µs between the place and that by arrival, else the youngest."""
        expected_us = self._by_arrival_us(packet.arrived_us)
        if expected_us is None:
            expected_us = self.latest_us
        return 0 if expected_us is None else abs(packet.timestamp_us + shift_us - expected_us)

    def _limit_us(self, arrived_us: int | None) -> int | None:
        return None if arrived_us is None else self.arrival.limit_us(arrived_us)

    def _nominal_us(self, arrived_us: int | None) -> int | None:
        return None if arrived_us is None else self.arrival.expected_us(arrived_us)

    def _by_arrival_us(self, arrived_us: int | None) -> int | None:
        if self.latest_us is None or self.arrival.latest_place_us < self.latest_us:
            return self._nominal_us(arrived_us)  # this socket has brought late packets only
        return None if arrived_us is None else self.arrival.place_us(arrived_us)

    def _expected_us(
        self, track: Track, packets: Sequence[Timed], start_us: int
    ) -> tuple[int, bool]:
        """Returns the place of audio that begins with the timestamp `start_us`, and whether it is
        the end of the track's audio.
        """
        tail_us, latest_us = track.tail_us(), self.latest_us
        by_arrival_us = youngest_us = None
        is_live = track.arrive_live(packets)
        if self.arrival.is_paced or is_live:
            place_of = self._nominal_us if is_live else self._by_arrival_us
            by_arrival_us = start_by(place_of, packets, start_us)
            youngest_us = start_by(self._limit_us, packets, start_us)
        assert latest_us is not None, "the call has audio"
        if tail_us is None:
            return (latest_us if by_arrival_us is None else by_arrival_us), False
        if by_arrival_us is not None:
            if by_arrival_us > tail_us + RESUMED_US:
                return by_arrival_us, False
            if by_arrival_us > tail_us + PACKET_US:  # lost packets put the end too early
                return by_arrival_us, True
            if youngest_us is not None and youngest_us < tail_us - PACKET_US:  # the end is late
                return youngest_us, True
        elif latest_us > tail_us + LOOK_AHEAD_US:
            return latest_us, False
        return tail_us, True


def _latest(track: Track) -> Sequence[int]:
    """Returns the latest timestamps of a track, which show its clock."""
    return track.remembered.latest(MAX_STRAYS)
