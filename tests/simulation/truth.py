"""The truth about one voice, and the room that physics leaves for its packets. PURE.

The judge allows each packet 60 ms around its true time. Three things move these bounds, because no
recorder could know better:

- `delay_us`: if all packets of the look-ahead of 2 s are stamped late, their delay cannot be told
  from later speech.
- `excuse_us`: contiguous audio that once lies late stays late until the next pause. A fast sound
  card that never pauses makes more samples than there is time for, so it adds to that.
- Packets whose own stamp is unusable and that have no neighbour within 60 ms, may lie anywhere
  between their neighbours (`is_free`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from tests.simulation.plan import HOUR, MINUTE, PACKET_US, SECOND, Plan
from tests.simulation.world import Packet, World

TOLERANCE_US = 60_000
LOOK_AHEAD_US = 2 * SECOND
"""Delay and disorder that law 2 and 5 promise to mend."""
DRIFT_US = 1_300
"""Drift of a sound card within the look-ahead, which decides whether 60 ms are missing."""
UNSEEN_US = 150_000
"""A step back of less looks like packets out of order (docs/timeline.md, law 5)."""
SMALL_STEP_US = 80_000
"""A smaller step of the clock is hidden by the 60 ms that a track may lag anyway, so each track may
follow it or not.
"""
NEAR_STRAY_US = 2_700_000
"""A stray stamp within the look-ahead cannot be told from disorder: the packet may lie there."""
LONGEST_STALL_US = 5 * SECOND
"""The network stands still for at most this long (`network` in plan.py)."""

Ints = NDArray[np.int64]


class VoiceTruth:
    """Arrays over all packets of a voice, in spoken order."""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.packets: Sequence[Packet] = world.packets[index]
        self.spoken = world.spoken[index]
        self.raw_id = world.plan.voices[index].raw_id
        count = len(self.packets)
        self.true_us: Ints = np.fromiter((one.true_us for one in self.packets), np.int64, count)
        self.first: Ints = np.fromiter((one.first for one in self.packets), np.int64, count)
        self.rates: Ints = np.fromiter((one.rate for one in self.packets), np.int64, count)
        self.received = np.fromiter((one.is_received for one in self.packets), np.bool_, count)
        self.region: Ints = np.zeros(count, np.int64)
        for at_us, _ in world.steps:
            self.region += np.fromiter(
                (one.depart_us >= at_us for one in self.packets), np.int64, count
            )
        self.delay_us = self._delays()
        self.excuse_us = self._excuses()
        self.is_free = self._free()

    @property
    def equal_silence(self) -> int:
        """Samples of silent packets with the stamp of another one: they are equal to duplicates."""
        stamps = Counter(one.stamp_us for one in self.packets if one.silent and one.is_received)
        return sum(count - 1 for count in stamps.values()) * int(self.rates.max(initial=0)) // 50

    def is_timed(self, number: int) -> bool:
        """Whether the packet arrived with a usable stamp."""
        packet = self.packets[number]
        return bool(self.received[number]) and packet.stamp_us is not None and not packet.stray_us

    def is_contiguous(self, number: int) -> bool:
        """Whether the packet follows the one before it without a pause, and both were received."""
        if number == 0 or not (self.received[number] and self.received[number - 1]):
            return False
        return bool(self.true_us[number] - self.true_us[number - 1] < 2 * PACKET_US)

    def _excuses(self) -> Ints:
        """Returns how late each packet may be placed: late stamps move a packet, and contiguous
        audio keeps all that follow it there.
        """
        excuses: Ints = np.zeros(len(self.packets), np.int64)
        if self.world.plan.voices[self.packets[0].voice].ppm <= 0 and not self.delay_us.any():
            return excuses
        end_us = 0
        for number, packet in enumerate(self.packets):
            if self.received[number]:
                end_us = max(end_us, packet.true_us + int(self.delay_us[number]))
                excuses[number] = end_us - packet.true_us
                end_us += PACKET_US
        return excuses + PACKET_US * self._later_equals()

    def _later_equals(self) -> Ints:
        """Returns for each packet how many later ones have its stamp, on other sockets: nobody can
        know the order of these.
        """
        later: Ints = np.zeros(len(self.packets), np.int64)
        if len({one.socket for one in self.packets if one.is_received}) < 2:
            return later
        seen: Counter[int | None] = Counter()
        seen_on: Counter[tuple[int | None, int]] = Counter()
        for number in range(len(self.packets) - 1, -1, -1):
            packet = self.packets[number]
            if self.is_timed(number):
                own = packet.stamp_us, packet.socket
                later[number] = seen[packet.stamp_us] - seen_on[own]
                seen[packet.stamp_us] += 1
                seen_on[own] += 1
        return later

    def _delays(self) -> Ints:
        """Returns how late each packet looks by all packets of the next 2 s on its socket and at
        its rate: the lowest distance of their stamps from contiguous audio that follows it. Time
        that is missing among them looks like delay, and so does a step of the clock that looks like
        lost audio.
        """
        delays: Ints = np.zeros(len(self.packets), np.int64)
        if not any(one.delay_us for one in self.packets):
            return delays
        ahead: Ints = np.array([self._ahead_us(one.depart_us) for one in self.packets], np.int64)
        played: Ints = np.concatenate([[0], np.cumsum(self.received)[:-1]]) * PACKET_US
        window: deque[tuple[int, int]] = deque()  # true time and distance, which rises
        part = -1, 0
        for number in range(len(self.packets) - 1, -1, -1):
            packet, own_us = self.packets[number], int(played[number] - ahead[number])
            if (packet.socket, packet.rate) != part and self.received[number]:
                window.clear()
                part = packet.socket, packet.rate
            if self.is_timed(number):
                distance_us = packet.true_us + packet.delay_us - own_us
                while window and window[-1][1] >= distance_us:
                    window.pop()
                window.append((packet.true_us, distance_us))
            while window and window[0][0] > packet.true_us + LOOK_AHEAD_US:
                window.popleft()
            if window:
                delays[number] = max(0, window[0][1] - (packet.true_us - own_us))
            else:
                delays[number] = packet.delay_us
        return delays

    def _ahead_us(self, at_us: int) -> int:
        """Returns by how much the steps of the clock before a moment seem to be lost audio."""
        ahead_us = 0
        for step_us, size_us in self.world.steps:
            if step_us <= at_us and -ahead_us <= size_us <= LOST_US:
                ahead_us += size_us
        return ahead_us

    def _free(self) -> NDArray[np.bool_]:
        free = np.zeros(len(self.packets), np.bool_)
        for number, packet in enumerate(self.packets):
            if packet.stray_us:
                beside = self.is_contiguous(number) and self.is_timed(number - 1)
                if number + 1 < len(self.packets) and self.is_contiguous(number + 1):
                    beside = beside or self.is_timed(number + 1)
                free[number] = abs(packet.stray_us) <= NEAR_STRAY_US or not beside
                free[number] |= self._looks_held_up(number)
                if self.is_contiguous(number):
                    free[number] |= self._looks_held_up(number - 1)
            elif packet.stamp_us is None:
                free[number] = not self.is_contiguous(number) or free[number - 1]
            elif packet.unwritten:  # only a late copy of it may have been written
                free[number] = True
            elif packet.wandering:
                free[number] = any(
                    packet.depart_us <= at_us <= packet.depart_us + 3 * SECOND
                    for at_us, _ in self.world.steps
                )
        for at_us, size_us in self.world.steps:
            if -NEAR_STRAY_US <= size_us < -TOLERANCE_US:
                free |= self._near_room(at_us, -size_us)
        free |= np.isin(self.region, thin_regions(self.world))
        apart = sockets_apart(self.world)
        return free | np.fromiter(((one.socket in apart) for one in self.packets), np.bool_)

    def _looks_held_up(self, number: int) -> bool:
        """Whether a stray stamp looks like audio that the network held up, or took out of order
        before it stood still: nobody has sent anything for the time of a stall.
        """
        packet = self.packets[number]
        if not -LONGEST_STALL_US - LOOK_AHEAD_US <= packet.stray_us < 0:
            return False
        since_us = packet.depart_us + packet.stray_us
        departs = [
            one.depart_us
            for voice in self.world.packets
            for one in voice
            if one.is_received and since_us < one.depart_us < packet.depart_us
        ]
        latest_us = max(departs, default=since_us)
        is_stalled = packet.depart_us - latest_us <= LONGEST_STALL_US
        return is_stalled and latest_us - since_us <= LOOK_AHEAD_US

    def _near_room(self, at_us: int, size_us: int) -> NDArray[np.bool_]:
        """Returns the packets around a step back that fit into a pause before it, or before the
        beginning of the voice: they look like packets out of order (law 5).
        """
        reach_us = size_us + LOOK_AHEAD_US
        near = np.fromiter(
            (abs(one.depart_us - at_us) <= reach_us for one in self.packets), np.bool_
        )
        numbers = np.flatnonzero(near)
        has_room = any(not self.is_contiguous(int(number)) for number in numbers)
        return near if has_room else np.zeros(len(self.packets), np.bool_)


def thin_regions(world: World) -> list[int]:
    """Returns the numbers of the regions between steps of which no voice shows the clock: by law 6,
    fewer than `CONFIRMATION` packets in a row, on one socket, are strays.
    """
    most = [0] * (len(world.steps) + 1)
    for voice in world.packets:
        usable = [
            (sum(one.depart_us >= at_us for at_us, _ in world.steps), one.socket)
            for one in voice
            if one.is_received and one.stamp_us is not None and not one.stray_us
        ]
        for (region, _), count in Counter(usable).items():
            most[region] = max(most[region], count)
    return [region for region, count in enumerate(most) if count < CONFIRMATION]


def sockets_apart(world: World) -> set[int]:
    """Returns the sockets that cannot know the clock of the call: opened while another one was
    open, so their timeline has a beginning of its own, and the clock stepped before they had seen
    it.
    """
    apart = set()
    for socket in world.sockets[1:]:
        received = [one for voice in world.packets for one in voice if one.socket == socket.number]
        is_second = any(
            one.open_us < socket.open_us < one.close_us for one in world.sockets[: socket.number]
        )
        for at_us, _ in world.steps:
            seen = sum(one.depart_us < at_us for one in received)
            if is_second and at_us < socket.close_us and seen < CONFIRMATION:
                apart.add(socket.number)
    return apart


def unit_us(plan: Plan) -> int:
    """Returns the resolution of the stamps and of drift."""
    coarse = max((one.us for one in plan.of("coarse")), default=0)
    return max(coarse, 1_000 if plan.digits == 3 else 1) + DRIFT_US


def _first_depart_us(voices: Sequence[VoiceTruth]) -> int:
    departs = (one.depart_us for voice in voices for one in voice.packets if one.is_received)
    return min(departs, default=0)


def _first_offsets(voices: Sequence[VoiceTruth]) -> tuple[int, int]:
    """Returns the range of the offset of a whole call: if its first packet is a stray, a few others
    cannot tell which of them is wrong.
    """
    received = [one for voice in voices for one in voice.packets if one.is_received]
    first = min(received, key=lambda one: one.arrivals[0], default=None)
    timed = sum(not one.stray_us and one.stamp_us is not None for one in received)
    if first is None or not first.stray_us or timed >= EVIDENCE:
        return 0, 0
    return min(0, first.stray_us), max(0, first.stray_us)


def is_unseen(size_us: int, unit_us: int = 0) -> bool:
    """Whether a step of this size may stay unseen, if stamps have this unit."""
    return -UNSEEN_US <= size_us < 0 or abs(size_us) <= SMALL_STEP_US + unit_us


def hidden_us(world: World) -> int:
    """Returns how far small steps, and strays that are taken for disorder, may move a track. With
    each step, a coarse clock ticks at other times.
    """
    strays = [one.us for one in world.plan.of("stray") if abs(one.us) <= NEAR_STRAY_US]
    coarse_us = max((one.us for one in world.plan.of("coarse")), default=0)
    small = (abs(size_us) for _, size_us in world.steps if is_unseen(size_us, coarse_us))
    return sum(small) + PACKET_US * len(strays) + coarse_us * len(world.steps)


def noise_us(plan: Plan) -> int:
    """Returns how far off arrival may be as a measure of a silent pause."""
    delays = [one.us for one in plan.of("network", "stall", "jitter")]
    return 2 * TOLERANCE_US + sum(delays) + max((one.us for one in plan.of("coarse")), default=0)


def heard_before(voices: Sequence[VoiceTruth], at_us: int) -> int:
    """Returns how many packets show the clock before a step."""
    return sum(
        one.is_received and one.depart_us < at_us for voice in voices for one in voice.packets
    )


def offsets_us(world: World, voices: Sequence[VoiceTruth]) -> list[tuple[int, int]]:
    """Returns the range of the common offset of all tracks before the first step and after each.

    A step while somebody speaks is known to the packet, so the offset stays as it was. In silence,
    arrival alone shows it: a step within its noise cannot be told from a longer or shorter pause.
    """
    lowest, highest = _first_offsets(voices)
    ranges = [(lowest, highest)]
    starts = [at_us for at_us, _ in world.steps] + [1 << 62]
    for number, (at_us, size_us) in enumerate(world.steps):
        before_us = starts[number - 1] if number else 0
        spoken = any(is_spoken_through(one, before_us, at_us, starts[number + 1]) for one in voices)
        if at_us <= _first_depart_us(voices):  # the frame of the call is the clock after it
            lowest, highest = lowest + size_us, highest + size_us
        elif is_unseen(size_us):
            pass
        elif heard_before(voices, at_us) == 0:
            lowest, highest = lowest + size_us, highest + size_us
        elif heard_before(voices, at_us) < CONFIRMATION:
            lowest, highest = lowest + min(0, size_us), highest + max(0, size_us)
            ranges = [(lowest, highest)] * len(ranges)
        elif 0 < size_us <= _lost_us(world, voices, at_us):
            highest += size_us
            lowest -= 0 if spoken else _stalled_us(world, voices, at_us)
        elif not spoken and abs(size_us) <= ARRIVAL_TELLS_US:
            lowest, highest = lowest + min(0, size_us), highest + max(0, size_us)
        elif not spoken:
            noise = noise_us(world.plan)
            lowest, highest = lowest - noise, highest + noise
            highest += _suspended_us(world, voices, at_us)
        highest += _stalled_us(world, voices, at_us)
        ranges.append((lowest, highest))
    return ranges


def _lost_us(world: World, voices: Sequence[VoiceTruth], at_us: int) -> int:
    """Returns up to which size a step ahead looks like lost audio or like a pause: as far as
    arrival times prove nothing.

    That is a stall of the network, if its burst contains the step; a minute if the packets after
    the step come on another socket, whose host may have another time; an hour if no packets before
    the step have arrived as they were spoken (law 6).
    """
    sent = [one for voice in voices for one in voice.packets if one.is_received]
    before = [one for one in sent if one.depart_us < at_us]
    after = [one for one in sent if one.depart_us >= at_us]
    if sum(one.arrivals[0] - one.depart_us < SECOND // 10 for one in before) < EVIDENCE:
        return HOUR
    if before and after and after[0].socket != max(before, key=attrgetter("depart_us")).socket:
        return MINUTE
    stalls = [(world.plan.true_us(one.at_us), one.us) for one in world.plan.of("network")]
    return LOST_US + sum(us for start, us in stalls if start <= at_us + SECOND <= start + us)


def _stalled_us(world: World, voices: Sequence[VoiceTruth], at_us: int) -> int:
    """Returns the length of a stall of the network, if no packet was sent between its beginning and
    the step: then it looks like a pause, or hides one.
    """
    sent = [one.depart_us for voice in voices for one in voice.packets if one.is_received]
    stalls = [(world.plan.true_us(one.at_us), one.us) for one in world.plan.of("network")]
    return sum(
        us
        for start, us in stalls
        if at_us < start + us
        and not any(min(start, at_us) <= depart < max(start, at_us) for depart in sent)
    )


def _suspended_us(world: World, voices: Sequence[VoiceTruth], at_us: int) -> int:
    """Returns how much longer the silence around a step of the clock looks because the host's clock
    was set ahead in it: the host may have been suspended.
    """
    sent = [one.depart_us for voice in voices for one in voice.packets if one.is_received]
    begin_us = max((depart for depart in sent if depart < at_us), default=0)
    end_us = min((depart for depart in sent if depart >= at_us), default=at_us)
    hosts = [(world.plan.true_us(one.at_us), one.us) for one in world.plan.of("host")]
    return sum(us for at, us in hosts if us > 0 and begin_us <= at <= end_us)


LOST_US = 600_000
"""A step ahead of less looks like lost audio: arrival may be off by half a second."""
ARRIVAL_TELLS_US = 2_500_000
"""A smaller step in the middle of silence cannot be told from the network's delay."""
CONFIRMATION = 5
"""Fewer packets do not show what the clock was before a step: then it may be the one after it."""
EVIDENCE = 10
"""Packets on both sides of a step that show it to the packet."""


def is_spoken_through(voice: VoiceTruth, before_us: int, at_us: int, next_us: int) -> bool:
    """Whether a voice speaks without a pause from before a step to after it."""
    departs = [one.depart_us for one in voice.packets]
    number = int(np.searchsorted(np.array(departs), at_us)) if departs else 0
    if number < EVIDENCE or number + EVIDENCE > len(departs):
        return False
    around = range(number - EVIDENCE + 1, number + EVIDENCE)
    return (
        all(voice.is_contiguous(one) and voice.is_timed(one) for one in around)
        and departs[number - EVIDENCE] >= before_us
        and departs[number + EVIDENCE - 1] < next_us
    )
