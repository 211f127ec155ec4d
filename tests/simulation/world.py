"""The world between speakers and recorder: clocks, service and network turn a plan into messages
with their time of arrival. PURE.

Three clocks matter. True time counts from the first socket, in µs. The service's clock stamps a
packet when it receives it; it may step and be coarse. The host's clock is the time of arrival that
the recorder notes; it may step too. Sound cards run fast or slow against true time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from random import Random

from tests.simulation import wire
from tests.simulation.network import Network
from tests.simulation.plan import PACKET_US, SECOND, Fault, Plan, Voice
from tests.simulation.samples import Samples, voice_samples

START_US = 1_664_824_372_000_000
"""The service's clock at true time 0, without steps."""
CLOSE_AFTER_US = 500_000
STRETCHES = (5, 10, 25, 100)
"""Packets in a row that one of two sockets carries, before the other one may."""


@dataclass(slots=True, eq=False)
class Packet:
    """One spoken packet and all that happens to it. Times are true, `stamp_us` is the service's."""

    voice: int
    number: int
    spurt: int
    true_us: int
    depart_us: int = 0  # when the service sends it
    stamp_us: int | None = 0
    delay_us: int = 0  # of the stamp
    stray_us: int = 0
    rate: int = 0
    first: int = 0  # index of its first sample
    count: int = 0
    silent: bool = False
    lost: bool = False
    wandering: bool = False  # out of order in the network, or a copy of it
    arrivals: list[int] = field(default_factory=list)
    """True times at which it was written to a journal."""
    unwritten: bool = False
    socket: int = -1
    """The first socket that carried it."""
    on_both: bool = False

    @property
    def is_received(self) -> bool:
        return bool(self.arrivals)


@dataclass(slots=True, eq=False)
class Socket:
    """A media socket: from `open_us` on it carries packets, until `close_us` (true times)."""

    number: int
    open_us: int
    close_us: int = 0
    dies: bool = False
    torn_bytes: int = 0
    code: int | None = 1000
    process: int = 0
    stream_id: int = 0
    lost_end: bool = False
    """Whether its last records could not be written."""


@dataclass(slots=True, frozen=True)
class Event:
    """Something that reaches the recorder: `kind` is "open", "text", "rotate", "close", "die",
    "full", "free" (the disk) or "step" (of the host's clock).
    """

    arrival_us: int
    order: int
    kind: str
    socket: int
    text: str = ""
    packet: Packet | None = None


@dataclass(slots=True)
class World:
    """Everything that the recorder gets, and the truth about it."""

    plan: Plan
    packets: list[list[Packet]]  # by voice
    spoken: list[Samples]  # by voice
    sockets: list[Socket]
    events: list[Event]
    steps: list[tuple[int, int]]  # true time and size
    copies: int = 0

    def host_us(self, true_us: int) -> int:
        """Returns the host's clock."""
        steps = (one for one in self.plan.faults if one.kind == "host")
        moved = sum(one.us for one in steps if self.plan.true_us(one.at_us) <= true_us)
        return START_US + true_us + moved


def world_of(plan: Plan) -> World:
    """Returns the world of a plan."""
    packets = [_spoken_by(index, voice, plan) for index, voice in enumerate(plan.voices)]
    _delay_stamps(packets, plan)
    steps = [(plan.true_us(one.at_us), one.us) for one in plan.of("step")]
    _stamp(packets, plan, steps)
    _damage(packets, plan)
    sends = _sends(packets, plan)
    _set_rates(sends, plan)
    spoken = _number_samples(packets, plan)
    sockets = _sockets(plan, max((one.depart_us for one in sends), default=SECOND))
    events, copies = _deliver(sends, sockets, plan, spoken)
    return World(plan, packets, spoken, sockets, events, steps, copies)


def _spoken_by(index: int, voice: Voice, plan: Plan) -> list[Packet]:
    packets: list[Packet] = []
    has_pause, length_us = bool(plan.of("pause")), PACKET_US * (1 - voice.ppm * 1e-6)
    for spurt, speech in enumerate(voice.spurts):
        for number in range(speech.packets):
            moment = speech.start_us + round(number * length_us)
            at_us = plan.true_us(moment) if has_pause else moment
            packets.append(Packet(index, len(packets), spurt, at_us))
    return packets


def _delay_stamps(packets: Sequence[list[Packet]], plan: Plan) -> None:
    """Delays the reception by the service: in spoken order the stamps never decrease."""
    stalls = [(plan.true_us(one.at_us), one.us) for one in plan.of("stall")]
    jitters = [(one.us, Random(one.seed)) for one in plan.of("jitter")]
    for voice in packets:
        latest_us = 0
        for packet in voice:
            at_us = packet.true_us
            for start_us, duration_us in stalls:
                if start_us <= packet.true_us < start_us + duration_us:
                    at_us = max(at_us, start_us + duration_us)
            for size_us, random in jitters:
                if random.random() < 0.3:
                    at_us += random.randrange(size_us)
            latest_us = max(latest_us, at_us)
            packet.depart_us, packet.delay_us = latest_us, latest_us - packet.true_us


def _stamp(packets: Sequence[list[Packet]], plan: Plan, steps: Sequence[tuple[int, int]]) -> None:
    unit_us = max([one.us for one in plan.of("coarse")], default=1)
    unit_us = max(unit_us, 1_000 if plan.digits == 3 else 1)
    for voice in packets:
        for packet in voice:
            moved = sum(size_us for at_us, size_us in steps if at_us <= packet.depart_us)
            packet.stamp_us = (START_US + packet.depart_us + moved) // unit_us * unit_us


def _damage(packets: Sequence[list[Packet]], plan: Plan) -> None:
    """Applies the faults of single packets."""
    for fault in plan.of("stray", "untimed", "silence", "loss"):
        for packet in _from(fault, packets, plan, fault.count or 1):
            match fault.kind:
                case "stray":
                    if packet.stamp_us is not None and not packet.stray_us:
                        packet.stray_us = fault.us
                        packet.stamp_us += fault.us
                case "untimed":
                    packet.stamp_us, packet.stray_us = None, 0
                case "silence":
                    packet.silent = True
                case _:
                    packet.lost = True


def _from(
    fault: Fault, packets: Sequence[list[Packet]], plan: Plan, count: int
) -> Iterable[Packet]:
    """Returns the next packets of the fault's voice."""
    at_us = plan.true_us(fault.at_us)
    if fault.voice >= len(packets):
        return ()
    return [one for one in packets[fault.voice] if one.true_us >= at_us][:count]


@dataclass(slots=True)
class _Send:
    """One transmission of a packet by the service."""

    packet: Packet
    depart_us: int
    is_copy: bool = False


def _sends(packets: Sequence[list[Packet]], plan: Plan) -> list[_Send]:
    sends = {packet: _Send(packet, packet.depart_us) for voice in packets for packet in voice}
    rates = [plan.true_us(one.at_us) for one in plan.of("rate")]
    copies: dict[Packet, _Send] = {}  # a network repeats a packet once

    def may_wander(packet: Packet, us: int) -> bool:
        return not any(packet.depart_us - SECOND < at < packet.depart_us + us for at in rates)

    for fault in plan.of("reorder"):
        for packet in _from(fault, packets, plan, fault.count):
            usable = not packet.wandering and _has_own_stamp(packet, packets[fault.voice])
            if usable and may_wander(packet, fault.us):
                packet.wandering = True
                sends[packet].depart_us += fault.us
    for fault in plan.of("duplicate"):
        for packet in _from(fault, packets, plan, fault.count):
            is_new = not packet.silent and packet not in copies
            is_new = is_new and _has_own_stamp(packet, packets[fault.voice])
            if is_new and may_wander(packet, fault.us):
                copies[packet] = _Send(packet, packet.depart_us + 1 + fault.us, is_copy=True)
    kept = [send for send in sends.values() if not send.packet.lost]
    kept += [send for send in copies.values() if not send.packet.lost]
    return sorted(kept, key=attrgetter("depart_us"))


def _has_own_stamp(packet: Packet, voice: Sequence[Packet]) -> bool:
    """Whether the stamp tells its place among the packets beside it: of equal stamps, nobody can
    know the order once it is lost.
    """
    beside = voice[max(packet.number - 1, 0) : packet.number + 2]
    stamps = [one.stamp_us for one in beside if one.stamp_us is not None]
    is_alone = stamps.count(packet.stamp_us or 0) == 1
    return is_alone and not packet.stray_us


def _set_rates(sends: Sequence[_Send], plan: Plan) -> None:
    """Packets that the service sends after a change have the new rate."""
    changes = [(plan.true_us(one.at_us), one.count) for one in plan.of("rate")]
    for send in sends:
        if not send.is_copy:
            send.packet.rate = _rate_at(send.packet.depart_us, changes, plan)


def _rate_at(true_us: int, changes: Sequence[tuple[int, int]], plan: Plan) -> int:
    return next((rate for at_us, rate in reversed(changes) if at_us <= true_us), plan.rate)


def _number_samples(packets: Sequence[list[Packet]], plan: Plan) -> list[Samples]:
    """Numbers the samples of each voice; returns them all, with zeros in silent packets."""
    spoken = []
    for index, voice in enumerate(packets):
        first = 0
        for packet in voice:
            packet.rate = packet.rate or plan.rate
            packet.first, packet.count = first, packet.rate // 50
            first += packet.count
        samples = voice_samples(index, first).copy()
        for packet in voice:
            if packet.silent:
                samples[packet.first : packet.first + packet.count] = 0
        spoken.append(samples)
    return spoken


def _sockets(plan: Plan, last_us: int) -> list[Socket]:
    """Returns the sockets in order of opening; each but the last one ends by its fault."""
    random = Random(f"sockets {plan.seed}")
    sockets = [Socket(0, 0, last_us + CLOSE_AFTER_US)]
    for fault in plan.of("reconnect", "lingering", "kill", "split", "twin"):
        at_us, before = plan.true_us(fault.at_us), sockets[-1]
        again_us = plan.true_us(fault.at_us + fault.us)
        if at_us <= before.open_us or at_us >= last_us:
            continue
        follows = fault.kind in {"lingering", "split", "twin"}
        sockets.append(
            Socket(len(sockets), at_us if follows else again_us, last_us + CLOSE_AFTER_US)
        )
        before.close_us = min(again_us if follows else at_us, last_us + CLOSE_AFTER_US)
        before.code = random.choice((1000, 1006)) if follows else random.choice((1000, 1001, 1006))
        if fault.kind == "kill":
            before.dies, before.torn_bytes = True, fault.count
        # the process dies with all of its sockets
        own_process = bool(plan.of("kill")) or random.random() < 0.5
        sockets[-1].process = len(sockets) if own_process else before.process
    for socket in sockets:
        socket.stream_id = random.getrandbits(128)
        socket.close_us = max(socket.close_us, socket.open_us + 1)
    return sockets


def _host_faults(plan: Plan, first: int) -> list[Event]:
    """Returns the events of disks and of the host's clock; `first`: the number of the first one."""
    events: list[Event] = []
    for fault in plan.of("disk"):
        at_us = plan.true_us(fault.at_us)
        events.append(Event(at_us, first + len(events), "full", -1))
        events.append(Event(at_us + fault.us, first + len(events), "free", -1))
    for fault in plan.of("host"):
        events.append(Event(plan.true_us(fault.at_us), first + len(events), "step", -1))
    return events


def _deliver(
    sends: Sequence[_Send], sockets: Sequence[Socket], plan: Plan, spoken: Sequence[Samples]
) -> tuple[list[Event], int]:
    """Sends each packet on the sockets that carry it, and returns all events by arrival."""
    network = Network(plan)
    events: list[Event] = []
    copies = 0
    changes = [(plan.true_us(one.at_us), one.count) for one in plan.of("rate")]

    def add(
        true_us: int, kind: str, socket: int, text: str = "", packet: Packet | None = None
    ) -> None:
        at_us = network.arrival_us(true_us, socket)
        events.append(Event(at_us, len(events), kind, socket, text, packet))

    for socket in sockets:
        pending = [change for change in changes if socket.open_us < change[0] < socket.close_us]
        add(socket.open_us, "open", socket.number)
        rate = _rate_at(socket.open_us, changes, plan)
        add(socket.open_us, "text", socket.number, wire.audio_metadata(rate, 0))
        for send in sends:
            packet = send.packet
            while pending and pending[0][0] <= send.depart_us:
                at_us, rate = pending.pop(0)
                add(at_us, "text", socket.number, wire.audio_metadata(rate, len(pending) + 1))
            is_first = not send.is_copy or packet.socket == socket.number
            if is_first and _carries(socket, send, sockets, plan):
                copies += send.is_copy
                packet.on_both |= packet.socket not in {-1, socket.number}
                packet.socket = socket.number if packet.socket < 0 else packet.socket
                pcm = spoken[packet.voice][packet.first : packet.first + packet.count]
                raw_id = plan.voices[packet.voice].raw_id
                number = packet.number if packet.silent else None
                text = wire.audio_data(packet.stamp_us, plan.digits, raw_id, pcm.tobytes(), number)
                add(send.depart_us, "text", socket.number, text, packet)
        if not socket.dies:
            add(socket.close_us, "close", socket.number)
            continue
        # no network delays the end of a process
        events = [
            one for one in events if one.socket != socket.number or one.arrival_us < socket.close_us
        ]
        events.append(Event(socket.close_us, 1 << 30, "die", socket.number))
    events += _host_faults(plan, len(events))
    events += _rotations(sockets, plan, len(events))
    return sorted(events, key=lambda event: (event.arrival_us, event.order)), copies


def _rotations(sockets: Sequence[Socket], plan: Plan, order: int) -> Iterable[Event]:
    """Rotates each socket's file by age, also once in each long pause."""
    pauses = [(plan.true_us(one.at_us) - one.us, one.us) for one in plan.of("pause")]
    for socket in sockets:
        at_us = socket.open_us + plan.rotate_us
        while at_us < socket.close_us:
            yield Event(at_us, order, "rotate", socket.number)
            order += 1
            at_us += plan.rotate_us
            for start_us, duration_us in pauses:
                if start_us + plan.rotate_us < at_us < start_us + duration_us:
                    at_us += (start_us + duration_us - at_us) // plan.rotate_us * plan.rotate_us


def _carries(socket: Socket, send: _Send, sockets: Sequence[Socket], plan: Plan) -> bool:
    """Whether the service sends this packet on this socket."""
    at_us = send.depart_us
    if not socket.open_us <= at_us < socket.close_us:
        return False
    if send.packet.wandering and send.packet.depart_us < socket.open_us:
        return False  # a socket carries only audio of its own time
    later = [one for one in sockets if one.open_us <= at_us < one.close_us and one is not socket]
    if not later:
        return True
    others = [fault for fault in plan.of("split", "twin") if plan.true_us(fault.at_us) <= at_us]
    if others and at_us < plan.true_us(others[-1].at_us + others[-1].us):
        packet, fault = send.packet, others[-1]
        newest = max(later, key=lambda one: one.number).number < socket.number
        stretch = 1 if fault.kind == "twin" else STRETCHES[fault.seed % len(STRETCHES)]
        number = packet.number // stretch
        drawn = Random(f"{fault.seed} {packet.voice} {number}").random()
        if fault.kind == "twin":
            return newest or drawn < 0.7
        return newest == (drawn < 0.5)
    return all(one.number < socket.number for one in later)
