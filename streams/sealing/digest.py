"""The digest of one journal file, on top of the files before it on the same socket. PURE.

`digest_of` takes the records of a file and the state after the files before it, and returns the
segments, gaps and facts to be stored; it updates the state for the next file. The same input always
gives the same digest, which makes a retry and a recovery harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec
from msgspec import Struct, structs

from streams.journal.records import (
    Alarm,
    Audio,
    ClockStep,
    Closed,
    Counts,
    Damage,
    Dtmf,
    Handshake,
    Metadata,
    Record,
    Unwritten,
    Voice,
)
from streams.timeline.losses import Loss, are_copies, explain
from streams.timeline.socket_clock import SocketClock
from streams.timeline.timeline import Decided, Gap, Jump, Packet, RateChange, Run, Timeline

PACKETS_PER_SECOND = 50
"""ACS sends packets of 20 ms; a silent packet without PCM is 20 ms of silence."""

FALLBACK_RATE = 16_000
"""Hz, ACS's default: for audio whose metadata record is damaged in the first file of a socket."""

PACKETS_AT_ONCE = 200
"""Two seconds of two voices: the fast path takes all of these packets, or none of them."""

MAX_LOSSES = 1_024
"""Remembered `Loss`es per socket, two a voice: a gap is decided seconds after its end."""


class SubscriptionFacts(Struct):
    """One AudioMetadata of the socket, after the files read so far. Times in µs since the Unix
    epoch.
    """

    index: int
    connected_us: int
    subscription_id: str = ""
    encoding: str = ""
    sample_rate: int | None = None
    channels: int | None = None
    length: float | None = None
    disconnected_us: int | None = None
    close_code: int | None = None
    audio: int = 0
    dtmf: int = 0
    unknown: int = 0
    malformed: int = 0
    duplicate: int = 0
    late: int = 0
    odd_timestamp: int = 0
    clock: SocketClock | None = None


class StreamState(Struct):
    """Everything that the next file of a socket needs from the files before it. Plain data,
    written to disk.
    """

    timeline: Timeline = msgspec.field(default_factory=Timeline)
    handshake: Handshake | None = None
    subscriptions: dict[int, SubscriptionFacts] = msgspec.field(default_factory=dict)
    current: int = 0  # index of the subscription in force
    voices: dict[int, str] = msgspec.field(default_factory=dict)
    last_us: int = 0  # arrival of the last record
    unwritten: list[Unwritten] = msgspec.field(default_factory=list)  # in states of older versions
    losses: list[Loss] = msgspec.field(default_factory=list)
    heard: set[str] = msgspec.field(default_factory=set)  # raw ids with audio on this socket
    alarms: list[Alarm] = msgspec.field(default_factory=list)  # active ones

    @property
    def raw_ids(self) -> list[str]:
        """Raw ids of the voices, in the order of arrival."""
        return [self.voices[index] for index in sorted(self.voices)]

    @property
    def is_over(self) -> bool:
        """Whether the socket was closed or broken off: no further file of it follows."""
        return self.ended_us is not None

    @property
    def ended_us(self) -> int | None:
        """When it was closed or broken off."""
        facts = self.subscriptions.get(self.current)
        return None if facts is None else facts.disconnected_us


@dataclass(slots=True)
class SealedSegment:
    """Contiguous audio of one voice, to be stored; `packets` is the number of packets in it, and
    `stamps` are their timestamps, if needed (`overlaps/stamps.py`).
    """

    raw_id: str
    subscription: int
    start_sample: int
    sample_rate: int
    pcm: bytes
    packets: int
    stamps: bytes | None = None

    @property
    def sample_count(self) -> int:
        return len(self.pcm) // 2

    @property
    def end_sample(self) -> int:
        return self.start_sample + self.sample_count


@dataclass(slots=True)
class Digest:
    """The facts that one file adds to those of the files before it."""

    handshake: Handshake
    segments: list[SealedSegment] = field(default_factory=list)
    gaps: list[tuple[str, Gap]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)  # of the socket so far
    jumps: list[Jump] = field(default_factory=list)
    rate_changes: list[RateChange] = field(default_factory=list)
    dtmf: list[Dtmf] = field(default_factory=list)
    # raised or cleared, with raw id
    alarms: list[tuple[str | None, Alarm]] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    closed: Closed | None = None
    broken_off: bool = False  # the last file of a socket whose process died

    @property
    def ending(self) -> str | None:
        """Why audio may be missing after the socket, if this is its last file."""
        if self.broken_off:
            return "recorder_stopped"
        return "not_connected" if self.closed else None


def handshake_in(records: Iterable[Record]) -> Handshake | None:
    """Returns the handshake that every file begins with; None if it is damaged."""
    return next((record for record in records if isinstance(record, Handshake)), None)


def digest_of(
    records: Sequence[Record], handshake: Handshake, state: StreamState, *, last: bool
) -> Digest:
    """Digests one file and updates `state`. `last`: no further file of this socket follows."""
    digest = Digest(handshake)
    state.handshake = handshake
    state.last_us = max(state.last_us, handshake.connected_at_us)
    state.subscriptions.setdefault(0, SubscriptionFacts(0, handshake.connected_at_us))
    for unwritten in state.unwritten:
        _note_losses(unwritten, state)
    state.unwritten = []
    for kind, group in groupby(records, key=type):
        if kind is Audio:
            _push([record for record in group if isinstance(record, Audio)], state)
        else:
            for record in group:
                _apply(record, state, digest)
    if digest.closed or last:
        digest.broken_off = digest.closed is None
        facts = state.subscriptions[state.current]
        facts.disconnected_us = max(state.last_us, facts.connected_us)
        facts.close_code = digest.closed.code if digest.closed else None
        for alarm in state.alarms:
            cleared = structs.replace(alarm, until_us=max(alarm.since_us, state.last_us))
            _note_alarm(cleared, state, digest)
        state.timeline.finish(next_gap=digest.ending or "")
    _take(state, digest)
    digest.losses = state.losses
    return digest


def continue_axis(state: StreamState, left: StreamState) -> None:
    """Continues the axis that the socket before this one has left, and what it could not write at
    its end.
    """
    state.timeline = left.timeline
    state.losses = [loss for loss in left.losses if loss.end_us is None and loss.packets]


def _push(records: Sequence[Audio], state: StreamState) -> None:
    """Adds audio records that follow each other directly to the timeline."""
    facts = state.subscriptions[state.current]
    facts.audio += len(records)
    rate = facts.sample_rate or FALLBACK_RATE
    silence = bytes(2 * (rate // PACKETS_PER_SECOND))
    names = {
        voice: state.voices.get(voice, f"damaged:{voice}")
        for voice in {packet.voice for packet in records}
    }
    packets = [
        (
            names[packet.voice],
            packet.timestamp_us,
            packet.pcm or (silence if packet.silent else b""),
        )
        for packet in records
    ]
    state.heard.update(names.values())
    _push_parts(packets, [packet.arrived_us for packet in records], rate, state)
    state.last_us = records[-1].arrived_us


def _push_parts(
    packets: Sequence[Packet], arrivals: Sequence[int], rate: int, state: StreamState
) -> None:
    """Adds packets a part at a time; the first one of a voice after a loss ends a part."""
    connected_us, start = state.subscriptions[0].connected_us, 0
    while start < len(packets):
        end = min(start + PACKETS_AT_ONCE, len(packets))
        open_losses = [loss for loss in state.losses if not loss.is_settled]
        if awaited := {loss.raw_id for loss in open_losses if loss.end_us is None}:
            numbers = range(start, end)
            end = next((one + 1 for one in numbers if packets[one][0] in awaited), end)
        part = slice(start, end)
        state.timeline.push_all(packets[part], rate, connected_us, arrivals[part])
        if open_losses:
            _note_packets(open_losses, packets[part], state)
        start = end


def _note_packets(losses: Sequence[Loss], packets: Sequence[Packet], state: StreamState) -> None:
    """Notes the packets that have arrived after losses of their voices."""
    stamps: dict[str, list[int | None]] = {}
    for raw_id, stamp_us, _ in packets:
        stamps.setdefault(raw_id, []).append(stamp_us)
    for loss in losses:
        track = state.timeline.tracks.get(loss.raw_id)
        if track is not None:
            for stamp_us in stamps.get(loss.raw_id, ()):
                loss.note(track, stamp_us)


def _note_losses(unwritten: Unwritten, state: StreamState) -> None:
    """Remembers the packets of each voice that could not be written."""
    if not unwritten.voices:  # by an older version: the sender's clock must do
        lost = unwritten.packets, unwritten.first_us, unwritten.last_us + 1
        state.losses += [Loss(raw_id, *lost) for raw_id in state.voices.values()]
    for voice, packets in unwritten.voices.items():
        raw_id = state.voices.get(voice, f"damaged:{voice}")
        track, stamps = state.timeline.tracks.get(raw_id), unwritten.stamps.get(voice)
        if track and are_copies(packets, stamps, track):
            continue
        begin_us = track.newest_end_us if track else 0
        state.losses.append(
            Loss(
                raw_id,
                packets,
                begin_us,
                is_first=raw_id not in state.heard or begin_us == 0,
                stamps=stamps,
                shift_us=track.shift_us if track else state.timeline.epochs[-1],
            )
        )
    state.losses = state.losses[-MAX_LOSSES:]


def _apply(record: Record, state: StreamState, digest: Digest) -> None:
    match record:
        case Metadata():
            _subscribe(record, state, digest)
        case Voice():
            state.voices[record.index] = record.raw_id
        case Dtmf():
            digest.dtmf.append(record)
            state.subscriptions[state.current].dtmf += 1
            state.last_us = record.arrived_us
        case Counts():
            _count(record, state)
            digest.reasons = record.reasons
        case Closed():
            digest.closed = record
            state.last_us = max(state.last_us, record.at_us)
        case Unwritten():
            _note_losses(record, state)
        case Alarm():
            _note_alarm(record, state, digest)
        case ClockStep():
            state.timeline.arrival.host_step_us += record.by_us
        case Damage():
            digest.damage.append(record)


def _count(record: Counts, state: StreamState) -> None:
    """Updates the counts of a subscription.

    Records are counted as they are read, so a socket that broke off is counted to its end; if some
    are damaged, the higher count of the socket itself is right.
    """
    facts = state.subscriptions.setdefault(
        record.index, SubscriptionFacts(record.index, state.last_us)
    )
    facts.audio, facts.dtmf = max(facts.audio, record.audio), max(facts.dtmf, record.dtmf)
    facts.unknown, facts.malformed = record.unknown, record.malformed
    facts.odd_timestamp = record.odd_timestamp


def _note_alarm(alarm: Alarm, state: StreamState, digest: Digest) -> None:
    """Reports an alarm when it is raised, and again when it is cleared. Until then the state keeps
    it, in case the process dies before that.
    """
    others = [one for one in state.alarms if (one.name, one.voice) != (alarm.name, alarm.voice)]
    state.alarms = [*others, alarm] if alarm.until_us is None else others
    raw_id = None if alarm.voice is None else state.voices.get(alarm.voice)
    raised = (raw_id, structs.replace(alarm, until_us=None))
    digest.alarms = [one for one in digest.alarms if one != raised]
    digest.alarms.append((raw_id, alarm))


def _subscribe(metadata: Metadata, state: StreamState, digest: Digest) -> None:
    """Begins a subscription; audio decided so far is first counted for the one before it."""
    known = state.subscriptions.get(metadata.index)
    if metadata.index != state.current:
        _take(state, digest)
        before = state.subscriptions[state.current]
        before.disconnected_us = max(metadata.at_us, before.connected_us)
        state.current = metadata.index
    facts = known or SubscriptionFacts(metadata.index, metadata.at_us)
    facts.subscription_id, facts.encoding = metadata.subscription_id, metadata.encoding
    facts.sample_rate, facts.channels, facts.length = (
        metadata.sample_rate,
        metadata.channels,
        metadata.length,
    )
    state.subscriptions[metadata.index] = facts


def _take(state: StreamState, digest: Digest) -> None:
    """Moves everything that the timeline has decided into the digest."""
    taken: Decided = state.timeline.take()
    facts = state.subscriptions[state.current]
    # A packet counted as a duplicate may turn out to be none, and one held back is counted late
    # when it is placed: perhaps after the subscription that received it.
    facts.duplicate = max(0, facts.duplicate + taken.duplicate)
    facts.late = min(facts.audio, facts.late + taken.late)
    digest.jumps += taken.jumps
    digest.rate_changes += taken.rate_changes
    for raw_id, track in taken.tracks.items():
        for gap in track.gaps:
            # If the disk failed during it, "not_received" would blame the sender.
            disk_failed = explain((one for one in state.losses if one.raw_id == raw_id), gap)
            explained = structs.replace(gap, reason="not_written") if disk_failed else gap
            digest.gaps.append((raw_id, explained))
        for run in track.runs:
            digest.segments += segments_of(
                run, raw_id, state.current, digest.handshake.segment_seconds
            )


def segments_of(
    run: Run, raw_id: str, subscription: int, segment_seconds: float
) -> list[SealedSegment]:
    """Cuts a run between samples into equal pieces of at most `segment_seconds`."""
    pcm = b"".join(run.pieces)
    most = max(1, int(segment_seconds * run.sample_rate))
    number = -(-run.sample_count // most)
    size = -(-run.sample_count // number) * 2
    packets = len(run.pieces)
    return [
        SealedSegment(
            raw_id,
            subscription,
            run.start_sample + start // 2,
            run.sample_rate,
            pcm[start : start + size],
            max(1, packets * (place + 1) // number - packets * place // number),
        )
        for place, start in enumerate(range(0, len(pcm), size))
    ]


def dump_state(state: StreamState) -> bytes:
    return msgspec.msgpack.encode(state)


def load_state(content: bytes) -> StreamState:
    """Raises `msgspec.DecodeError` if `content` is not a state in this version's form."""
    return msgspec.msgpack.decode(content, type=StreamState)
