"""The timeline of a call: from packets in order of arrival to runs and gaps on one axis. PURE.

The seven laws (docs/timeline.md describes each with its test): conservation, no cuts, alignment,
gaps are facts, order, a clock that jumps, one zero. The axis is counted in samples since the Unix
epoch at each track's rate, so tracks, sockets and processes agree on it without communication.

`Timeline` is plain data: it is written to disk between two journal files and continues after being
read back as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import field

from streams.timeline import beginning, fast_path, late_packets
from streams.timeline.arrival import ArrivalClock, lead_of
from streams.timeline.call_clock import CONFIRMATION, CallClock
from streams.timeline.decided import Decided, Jump, RateChange, TrackAudio, taken_from
from streams.timeline.fast_path import Batch, Packet
from streams.timeline.track import Track
from streams.timeline.waiting import LOOK_AHEAD_US, PAUSE_US, TOLERANCE_US, Gap, Run, Timed

__all__ = ["Decided", "Gap", "Jump", "Packet", "RateChange", "Run", "Timeline", "TrackAudio"]


class Timeline(CallClock):
    """The axis of one call: `push` packets as they arrive, `take` the decisions, `finish` when a
    socket closes.

    After `finish` it can continue with the packets of the call's next socket.
    """

    tracks: dict[str, Track] = field(default_factory=dict)
    jumps: list[Jump] = field(default_factory=list)
    rate_changes: list[RateChange] = field(default_factory=list)

    def push(
        self,
        participant: str,
        timestamp_us: int | None,
        pcm: bytes,
        sample_rate: int,
        connected_us: int,
        arrived_us: int | None = None,
    ) -> None:
        """Adds one packet. `connected_us` is the place of a first packet without timestamp if
        nothing else is known; `arrived_us` its arrival, on a clock that never steps.
        """
        if not pcm:
            return
        track = self.tracks.get(participant)
        if track is None or track.sample_rate != sample_rate:
            track = self._track_of(participant, sample_rate)
        if timestamp_us is None:
            self._push_untimed(participant, track, pcm, connected_us, arrived_us)
        elif repeats := track.remembered.repeats(timestamp_us, pcm):
            track.insert_repeated(timestamp_us, pcm, repeats)
        else:
            self._push_timed(participant, track, timestamp_us, pcm, arrived_us)
        self._update_latest(track)
        track.place_due()

    def push_all(
        self,
        packets: Sequence[Packet],
        sample_rate: int,
        connected_us: int,
        arrivals: Sequence[int | None] = (),
    ) -> None:
        """Adds packets with the same result as `push` for each of them, on the fast path if all of
        them allow it: tracks share nothing but the clock of the call. `arrivals`: when each of them
        arrived, or nothing.
        """
        times = arrivals or [None] * len(packets)
        batches = self._plan(packets, sample_rate, times)
        if batches is None:
            for (participant, timestamp_us, pcm), at_us in zip(packets, times, strict=True):
                self.push(participant, timestamp_us, pcm, sample_rate, connected_us, at_us)
            return
        for batch in batches:
            fast_path.apply(batch)
            self._update_latest(batch.track)
            fast_path.note_arrivals(self.arrival, batch, times[0])

    def finish(self, next_gap: str = "not_received") -> None:
        """Places everything queued: the socket has closed. The next gap, if any, gets the reason
        `next_gap`.
        """
        for participant, track in self.tracks.items():
            self._end_strays(participant, track)
            track.end_socket(next_gap)
        self.arrival.end_socket()

    def take(self) -> Decided:
        """Removes and returns the decisions since the last call."""
        taken = taken_from(self.tracks, self.jumps, self.rate_changes)
        self.jumps, self.rate_changes = [], []
        return taken

    def _track_of(self, participant: str, sample_rate: int) -> Track:
        """Returns a new track of the participant, or changes the rate of the one it has (law 7)."""
        track = self.tracks.get(participant)
        if track is None:
            track = self.tracks[participant] = Track(sample_rate, shift_us=self.epochs[-1])
            return track
        before = track.sample_rate
        self._end_strays(participant, track)
        track.change_rate(sample_rate)
        self.rate_changes.append(RateChange(participant, track.end or 0, before, sample_rate))
        return track

    def _plan(
        self, packets: Sequence[Packet], sample_rate: int, times: Sequence[int | None]
    ) -> list[Batch] | None:
        """Plans one batch per track; None if one of the packets cannot take the fast path."""
        if self.arrival.host_step_us:
            return None
        arrived = fast_path.arrived_of(packets, times)
        if arrived is None:
            return None
        return fast_path.plan_all(
            self.tracks, arrived, sample_rate, arrival=self.arrival, epochs=self.epochs
        )

    def _push_timed(
        self, participant: str, track: Track, timestamp_us: int, pcm: bytes, arrived_us: int | None
    ) -> None:
        """Queues a packet that follows its track at once, and decides about any other."""
        place_us = timestamp_us + track.shift_us
        if not self.follows(track, place_us, arrived_us):
            self._decide(participant, track, Timed(timestamp_us, pcm, arrived_us))
            return
        self._queue(track, place_us, pcm, arrived_us)
        if track.lag.first or track.late_streak.arrivals:
            self._follow_lag(participant, track, Timed(timestamp_us, pcm, arrived_us))
        elif track.late_us:
            self._follow_late(participant, track, Timed(timestamp_us, pcm, arrived_us))

    def _push_untimed(
        self, participant: str, track: Track, pcm: bytes, connected_us: int, arrived_us: int | None
    ) -> None:
        """Queues a packet without timestamp; holds it back beside strays, and after a pause."""
        if beginning.are_too_many(len(track.strays), self.tracks.values()):
            self._end_strays(participant, track)
        if track.strays or self.may_follow_pause(track, arrived_us):
            track.hold([*track.take_strays(), Timed.without_timestamp(pcm, arrived_us)])
            return
        latest_us = beginning.latest_us(self.tracks.values(), self.latest_us, connected_us)
        track.append(pcm, latest_us, self.arrival.following_us(arrived_us))
        if track.newest_us is not None:
            self._update_latest(track, track.newest_end_us - track.duration_us(pcm))

    def _decide(self, participant: str, track: Track, packet: Timed) -> None:
        """Queues a packet in the epoch that explains it, or holds it back as a stray."""
        tracks = self.tracks.values()
        if track.strays and (most := beginning.majority(tracks, self.arrival, track, packet)):
            self._begin_again(track, most, [])
            return
        shift_us = self.epoch_of(track, packet)
        if shift_us is None or (track.strays and beginning.joins_strays(track, packet, shift_us)):
            self._hold_back(participant, track, packet)
            return
        if shift_us != track.shift_us:
            self._enter_epoch(participant, track, shift_us, packet.timestamp_us)
        elif track.newest_us and packet.timestamp_us + shift_us > track.newest_us + PAUSE_US:
            self.begin_epoch(shift_us)  # after a pause: the clock has returned to it
        if track.strays:
            self._resolve_strays(track, packet.timestamp_us + shift_us)
        late_us = late_packets.late_after_pause(track, self.arrival, packet)
        self._accept(track, packet)
        track.resumed_late_us = track.late_us = late_us
        self._follow_lag(participant, track, packet)

    def _end_streak(self, participant: str, track: Track, packet: Timed) -> None:
        """Moves late packets, of which this is the last, if they show a step back of the clock."""
        if self.has_stepped_back(track, packet):
            self._jump(participant, track, late_packets.take_streak(track))
        elif displaced := late_packets.take_displaced(track):
            self._jump(participant, track, displaced)

    def _follow_late(self, participant: str, track: Track, packet: Timed) -> None:
        """Moves the packets since a pause, of which this is the last, if they show that the clock
        has stepped back in it.
        """
        first = track.resumed_arrival, track.resumed_us
        if late_us := late_packets.stepped_us(track, self.arrival, packet):
            self._move_since(participant, track, packet, first, self.nearest_us(track, late_us))

    def _follow_lag(self, participant: str, track: Track, packet: Timed) -> None:
        """Moves packets out of order, or that lag, of which this is the last, if they show that the
        clock has stepped back by less than a network delays packets.
        """
        if late_packets.are_enough(track):
            self._end_streak(participant, track, packet)
        if late_packets.lag_alike(track, self.arrival, packet, self.epochs[-1]):
            first = track.lag.first, track.lag.arrived[0]
            if lag_us := late_packets.lag_us(track, self.epochs[-1]):
                shift_us = self.nearest_us(track, lag_us, TOLERANCE_US)
                self._move_since(participant, track, packet, first, shift_us)

    def _move_since(
        self, name: str, track: Track, last: Timed, first: tuple[int, int | None], shift_us: int
    ) -> None:
        """Moves packets of a track to another epoch, from the one of a number and arrival on."""
        before_us = track.shift_us
        track.move_since(first[0], shift_us - before_us)
        self.begin_epoch(shift_us)
        self._note_jump(name, track, before_us, last.timestamp_us)
        self._move_resumed(track, before_us, first[1], last.arrived_us)

    def _accept(self, track: Track, packet: Timed, lowest_us: int | None = None) -> None:
        """Queues a packet at its place in the track's epoch, or at `lowest_us` if that is later."""
        place_us = packet.timestamp_us + track.shift_us
        if lowest_us is not None:
            place_us = max(place_us, lowest_us)
        self.note_pause(track, packet, place_us)
        self._queue(track, place_us, packet.pcm, packet.arrived_us, is_counted=packet.is_counted)

    def _queue(
        self,
        track: Track,
        place_us: int,
        pcm: bytes,
        at_us: int | None,
        *,
        is_counted: bool = False,
    ) -> None:
        """Queues a packet at its place, and adds it to the evidence of arrival."""
        track.insert(place_us, pcm, at_us, is_counted=is_counted)
        if at_us is None:
            return
        if self.arrival.add(place_us, at_us, lead_of(place_us, at_us)):
            self.latest_us = beginning.recall(self.tracks.values(), self.arrival, at_us)

    def _hold_back(self, participant: str, track: Track, packet: Timed) -> None:
        """Holds a packet back that no known clock explains, until `CONFIRMATION` of them agree."""
        strays = [*track.take_strays(), packet]
        number = beginning.number_of_wrong(track, strays, self.arrival, self.left_us)
        wrong, agreeing = strays[:number], beginning.filled(track, strays[number:])
        if sum(one.is_stamped for one in strays[number:]) < CONFIRMATION:
            if beginning.are_too_many(len(strays) - 1, self.tracks.values()):
                self._keep(track, wrong)
                strays = strays[number:]
            track.hold(strays)
        elif beginning.is_unsettled(self.tracks.values()) and self.is_early_stray(track, agreeing):
            self._begin_again(track, agreeing, wrong)
        elif self.may_be_pause(track, agreeing):
            self._keep(track, wrong, agreeing[0].timestamp_us + track.shift_us)
            for stray in agreeing:
                self._accept(track, stray)
        else:
            self._jump(participant, track, agreeing, wrong)

    def _jump(
        self,
        participant: str,
        track: Track,
        packets: Sequence[Timed],
        wrong: Sequence[Timed] = (),
    ) -> None:
        """Law 6: the clock has stepped. All tracks that show the step enter the same epoch. Packets
        with other `wrong` timestamps came before them.
        """
        before_us, shift_us = track.shift_us, self.epoch_after_jump(track, packets)
        self._enter_epoch(participant, track, shift_us, packets[0].timestamp_us)
        self._keep(track, wrong, packets[0].timestamp_us + shift_us)
        newest_us = track.newest_us  # jitter may have put it behind the end of the audio
        for packet in packets:
            self._accept(track, packet, newest_us)
        if shift_us >= before_us:
            self._move_resumed(track, before_us, packets[0].arrived_us, packets[-1].arrived_us)

    def _move_resumed(
        self, track: Track, before_us: int, since_us: int | None, until_us: int | None
    ) -> None:
        """Moves tracks that resumed after the step that packets of a track show, but before they
        showed it: these arrived from `since_us` to `until_us`.
        """
        if since_us is None or since_us == until_us:
            return  # a burst does not show which packets came after the step
        by_us = track.shift_us - before_us
        for name, other in self.tracks.items():
            if (
                other is not track
                and other.shift_us == before_us
                and (other.resumed_us or 0) >= since_us
                and not self.arrival.may_refute((other.newest_us or 0) + by_us, until_us)
                and other.move_since(other.resumed_arrival, by_us)
            ):
                self._note_jump(name, other, before_us, (other.newest_us or 0) - track.shift_us)
                self._update_latest(other)

    def _enter_epoch(
        self, participant: str, track: Track, shift_us: int, timestamp_us: int
    ) -> None:
        """Switches the track to an epoch, which is then the latest of the call. Late packets that
        wait have shown the same step back.
        """
        before_us = track.shift_us
        late = late_packets.take_step(track, shift_us - before_us, self.arrival, self.latest_us)
        track.shift_us = shift_us
        self.begin_epoch(shift_us)
        self._note_jump(participant, track, before_us, timestamp_us)
        for packet in late:
            self._accept(track, packet)

    def _note_jump(self, participant: str, track: Track, before_us: int, timestamp_us: int) -> None:
        place_us = timestamp_us + track.shift_us
        self.jumps.append(Jump(participant, place_us, place_us - before_us, timestamp_us))

    def _begin_again(self, track: Track, packets: Sequence[Timed], wrong: Sequence[Timed]) -> None:
        """Begins the axis with these packets: the few before them had wrong timestamps, and are
        kept directly before them. Tracks with further packets are tried again.
        """
        queued = {name: other.empty_queue() for name, other in self.tracks.items()}
        self.latest_us, self.arrival = None, ArrivalClock()
        for packet in packets:
            self._accept(track, packet)
        self._update_latest(track)
        place_us = packets[0].timestamp_us + track.shift_us
        for name, before in queued.items():
            other = self.tracks[name]
            if not other.strays:
                kept = [*before, *wrong] if other is track else before
                beginning.keep_wrong(other, kept, place_us)
                continue
            limit_us = self._limit_us(packets[-1].arrived_us)
            for packet in beginning.to_try_again(other, before, limit_us):
                self._decide(name, other, packet)

    def _resolve_strays(self, track: Track, place_us: int) -> None:
        """Places the strays before an accepted packet at `place_us`: those that it confirms by
        their timestamps, others where they arrived (law 1).
        """
        wrong: list[Timed] = []
        for stray in track.take_strays():
            stray_us = stray.timestamp_us + track.shift_us
            newest_us = stray_us if track.newest_us is None else track.newest_us
            if (
                place_us - LOOK_AHEAD_US <= stray_us <= place_us + TOLERANCE_US
                and stray_us > newest_us - LOOK_AHEAD_US
            ):
                self._keep(track, wrong, stray_us)
                self._accept(track, stray)
                wrong = []
            elif (other_us := self.place_in_another(track, stray, place_us)) is not None:
                self._keep(track, wrong, other_us)
                self._queue(track, other_us, stray.pcm, stray.arrived_us)
                wrong = []
            else:
                wrong.append(stray)
        self._keep(track, wrong, place_us)

    def _end_strays(self, participant: str, track: Track) -> None:
        """Places strays that nothing will confirm: after a pause if they may be, in an epoch that
        explains them, else where they arrived.
        """
        strays = track.take_strays() if track.strays else []
        is_pause = bool(strays) and self.may_be_pause(track, strays)
        wrong: list[Timed] = []
        for stray in strays:
            shift_us = track.shift_us if is_pause else self.epoch_of(track, stray)
            if shift_us is None or not stray.is_stamped:
                wrong.append(stray)
                continue
            if shift_us != track.shift_us:
                self._enter_epoch(participant, track, shift_us, stray.timestamp_us)
            self._keep(track, wrong, stray.timestamp_us + shift_us)
            self._accept(track, stray)
            wrong = []
        self._keep(track, wrong)
        self._update_latest(track)
        if beginning.are_consecutive(track, wrong):
            self.note_first(track, wrong[-1])

    def _keep(self, track: Track, strays: Sequence[Timed], next_us: int | None = None) -> None:
        """Keeps packets with wrong timestamps in order of arrival: directly after the audio before
        them, directly before the packet at `next_us`, or after a pause that their arrival shows.
        """
        track.late += sum(not one.is_counted for one in strays if one.is_stamped)
        number = len(strays) if next_us is None else self.number_after(track, strays, next_us)
        before = [stray.pcm for stray in strays[number:]]
        is_live = len(strays) > 1 and track.arrive_live(strays)
        for stray in strays[:number]:
            resumed_us = self.resumed_us(track, stray, is_live=is_live)
            if next_us is None and resumed_us is not None:
                track.insert(resumed_us, stray.pcm, stray.arrived_us)
                continue
            own_us = stray.timestamp_us + track.shift_us
            track.append(stray.pcm, own_us if self.latest_us is None else self.latest_us)
        if before and next_us is not None:
            track.keep_before(before, next_us)

    def _update_latest(self, track: Track, untimed_us: int | None = None) -> None:
        """Notes the latest place of the call, also that of a packet without timestamp."""
        latest_us = track.newest_us if untimed_us is None else untimed_us
        if latest_us is not None and (self.latest_us is None or latest_us > self.latest_us):
            self.latest_us = latest_us
