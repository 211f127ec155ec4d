"""Comparison of stored with sent audio: losses in ms, and a sentence for each broken
promise. PURE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise

from calls.audio.codec import Samples
from tests.torture.caller import Caller, Sent
from tests.torture.numbered import PACKET_MS, PACKET_SAMPLES, SAMPLE_RATE, Piece
from tests.torture.numbered import Sequence as NumberedSequence
from tests.torture.recording import Recording, Track

TOLERANCE_MS = 60
"""Laws 3 and 4 of the timeline."""


@dataclass(slots=True)
class Findings:
    """Results for any number of calls.

    `worst_lost_ms` is the largest loss of a single voice, of all packets sent;
    `worst_read_lost_ms`, of the packets that the server had read.
    """

    packets_sent: int = 0
    packets_stored: int = 0
    worst_lost_ms: int = 0
    worst_read_lost_ms: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.packets_sent += other.packets_sent
        self.packets_stored += other.packets_stored
        self.worst_lost_ms = max(self.worst_lost_ms, other.worst_lost_ms)
        self.worst_read_lost_ms = max(self.worst_read_lost_ms, other.worst_read_lost_ms)
        self.broken += other.broken


def judge(
    caller: Caller, recording: Recording, *, allowed_ms: int, excused: Iterable[int] = ()
) -> Findings:
    """Compares one call.

    Each voice may lose `allowed_ms`, not counting the packet numbers in `excused`.
    """
    findings = Findings()
    stored = 0
    for raw_id, sent in caller.sent.items():
        track = recording.tracks.get(raw_id)
        if track is None:
            track = Track(raw_id, caller.voices[raw_id].samples(0), [], [])
        numbers = _judge_track(caller, raw_id, track, recording.zero_us, findings)
        _judge_loss(caller, sent, numbers, findings, allowed_ms, set(excused))
        stored += len(numbers)
    findings.packets_stored = stored
    findings.packets_sent = caller.packets_sent
    if recording.audio_count < stored:
        findings.broken.append(f"{recording.audio_count} packets counted, {stored} stored")
    return findings


def _judge_track(
    caller: Caller, raw_id: str, track: Track, zero_us: int, findings: Findings
) -> set[int]:
    """Returns the numbers of a voice's packets that are stored completely."""
    voice, sent = caller.voices[raw_id], caller.sent[raw_id]
    expected = voice.samples(sent[-1].number + 1 if sent else 0)
    pieces = NumberedSequence(expected).pieces(track.samples)
    known = [piece for piece in pieces if piece.first is not None]
    findings.broken += [
        f"{piece.count} samples of unknown origin at {piece.place}"
        for piece in pieces
        if piece.first is None
    ]
    findings.broken += _disorder(known)
    findings.broken += _displaced(known, caller.started_us, zero_us)
    findings.broken += _unexplained(pieces, track)
    findings.broken += _wrong_hashes(track)
    return {number for piece in known for number in _packets_in(piece)}


def _judge_loss(
    caller: Caller,
    sent: Sequence[Sent],
    stored: set[int],
    findings: Findings,
    allowed_ms: int,
    excused: set[int],
) -> None:
    lost = [
        packet for packet in sent if packet.number not in stored and packet.number not in excused
    ]
    lost_ms = len(lost) * PACKET_MS
    read_ms = (
        sum(caller.was_read(packet) for packet in lost if packet.socket in caller.read_up_to)
        * PACKET_MS
    )
    findings.worst_lost_ms = max(findings.worst_lost_ms, lost_ms)
    findings.worst_read_lost_ms = max(findings.worst_read_lost_ms, read_ms)
    if lost_ms > allowed_ms:
        findings.broken.append(f"{lost_ms} ms of sent audio lost: packets {_spans(lost)}")
    never_sent = stored - {packet.number for packet in sent}
    if never_sent:
        findings.broken.append(f"{len(never_sent)} packets stored that were never sent")


def _packets_in(piece: Piece) -> Iterator[int]:
    """Yields the numbers of the packets completely inside a piece."""
    assert piece.first is not None, "only known pieces are counted"
    first = -(-piece.first // PACKET_SAMPLES)
    yield from range(first, (piece.first + piece.count) // PACKET_SAMPLES)


def _disorder(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yields repetitions and swaps: in a correct recording the sample numbers only increase."""
    for before, after in pairwise(pieces):
        assert before.first is not None, "only known pieces are compared"
        assert after.first is not None, "only known pieces are compared"
        if after.first < before.first + before.count:
            yield (
                f"sample {after.first} is repeated or late, after sample "
                f"{before.first + before.count - 1}"
            )


def _displaced(pieces: Iterable[Piece], started_us: int, zero_us: int) -> Iterator[str]:
    """Yields pieces further from their timestamps than the tolerance."""
    for piece in pieces:
        assert piece.first is not None, "only known pieces have a place"
        expected_ms = started_us / 1000 + piece.first * 1000 / SAMPLE_RATE
        actual_ms = zero_us / 1000 + piece.place * 1000 / SAMPLE_RATE
        if abs(expected_ms - actual_ms) > TOLERANCE_MS:
            yield f"sample {piece.first} is off by {actual_ms - expected_ms:+.0f} ms"


def _unexplained(pieces: Sequence[Piece], track: Track) -> Iterator[str]:
    """Yields silences between two pieces that no gap of the manifest covers."""
    for before, after in pairwise(pieces):
        silent = after.place - before.place - before.count
        start, end = (before.place + before.count) / SAMPLE_RATE, after.place / SAMPLE_RATE
        if silent * 1000 > TOLERANCE_MS * SAMPLE_RATE and not _is_covered(start, end, track):
            yield f"silence from {start:.3f} to {end:.3f} s without a gap in the manifest"


def _is_covered(start: float, end: float, track: Track) -> bool:
    slack = 1 / SAMPLE_RATE
    return any(
        gap["start"] <= start + slack and gap["end"] >= end - slack and gap["reason"]
        for gap in track.gaps
    )


def _wrong_hashes(track: Track) -> Iterator[str]:
    """Yields segments that overlap, or whose part of the export does not match their hash."""
    end_before = 0
    for segment in track.segments:
        start, count = segment["start_sample"], segment["sample_count"]
        if start < end_before:
            yield f"segment at {start} overlaps the one before it"
        end_before = start + count
        if _hash(track.samples[start : start + count]) != segment["sha256"]:
            yield f"segment at {start}: the export does not match its hash"


def _hash(samples: Samples) -> str:
    return sha256(samples.astype("<i2").tobytes()).hexdigest()


def _spans(lost: Sequence[Sent]) -> str:
    """Returns packet numbers such as "12-19, 40"."""
    spans: list[list[int]] = []
    for packet in lost:
        if spans and spans[-1][1] == packet.number - 1:
            spans[-1][1] = packet.number
        else:
            spans.append([packet.number, packet.number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans[:6])
