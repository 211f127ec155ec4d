"""The judge: compares what is stored with what was spoken, sample by sample, and names the law that
is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tests.simulation.gaps import judge_gaps
from tests.simulation.plan import PACKET_US, SECOND
from tests.simulation.recorder import Stored
from tests.simulation.samples import Piece, pieces_of
from tests.simulation.truth import (
    TOLERANCE_US,
    VoiceTruth,
    hidden_us,
    is_unseen,
    offsets_us,
    unit_us,
)
from tests.simulation.verdict import Heard, Verdict
from tests.simulation.world import START_US, World

Floats = NDArray[np.float64]


def judged(world: World, stored: Stored) -> Verdict:
    """Returns the verdict on everything stored of a call."""
    verdict = Verdict()
    voices = [VoiceTruth(world, index) for index, one in enumerate(world.packets) if one]
    known = {voice.raw_id for voice in voices}
    for raw_id in stored.tracks.keys() - known:
        verdict.note("conservation", f"a track of {raw_id}, who has not spoken")
    offsets = offsets_us(world, voices)
    heard: list[tuple[VoiceTruth, list[Heard]]] = []
    for voice in voices:
        track = stored.tracks.get(voice.raw_id, [])
        pieces = _placed(voice, track, verdict)
        _conservation(voice, pieces, verdict)
        of_voice = list(_heard(voice, pieces))
        heard.append((voice, of_voice))
        _order(voice, of_voice, offsets, verdict)
        judge_gaps(voice, of_voice, track, stored.gaps.get(voice.raw_id, []), verdict)
    _alignment(world, heard, offsets, verdict)
    _together(world, heard, verdict)
    _counts(world, stored, verdict)
    _duration(heard, verdict)
    for law, text in stored.faults:
        verdict.note(law, text)
    return verdict


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece of a voice at its place on the axis, at the rate at which it is stored."""

    piece: Piece
    place_us: float
    rate: int


def _placed(
    voice: VoiceTruth, track: Sequence[tuple[int, int, bytes]], verdict: Verdict
) -> list[Placed]:
    placed: list[Placed] = []
    for start, rate, pcm in track:
        samples = np.frombuffer(pcm, np.dtype("<i2"))
        for piece in pieces_of(samples, voice.spoken, voice.packets[0].voice):
            if piece.first == -1:
                verdict.note("conservation", f"{voice.raw_id}: samples that nobody has spoken")
                return placed
            at_us = (start + piece.place) * 1_000_000 / rate - START_US
            placed.append(Placed(piece, at_us, rate))
    return placed


def _conservation(voice: VoiceTruth, placed: Sequence[Placed], verdict: Verdict) -> None:
    """Law 1: every received sample is stored once, and nothing else."""
    found = np.zeros(len(voice.spoken), np.int8)
    silent = 0
    for one in placed:
        if one.piece.first is None:
            silent += one.piece.count
        else:
            found[one.piece.first : one.piece.first + one.piece.count] += 1
    expected = np.repeat(voice.received, voice.rates // 50)
    audible = voice.spoken != 0
    wrong = np.flatnonzero((found != expected) & audible)
    if len(wrong):
        number = int(np.searchsorted(voice.first, wrong[0], "right")) - 1
        verdict.note(
            "conservation",
            f"{voice.raw_id}: packet {number} is stored {found[wrong[0]]} times and was received "
            f"{len(voice.packets[number].arrivals)} times; {len(wrong)} samples in all",
        )
    silent += int(found[~audible].sum())
    expected_silent = int(expected[~audible].sum())
    if not expected_silent - voice.equal_silence <= silent <= expected_silent:
        verdict.note(
            "conservation",
            f"{voice.raw_id}: {silent} samples of silence are stored, {expected_silent} received",
        )


def _heard(voice: VoiceTruth, placed: Sequence[Placed]) -> Iterator[Heard]:
    """Yields the packets of all pieces in stored order, silent ones between others included."""
    for one in placed:
        first, count = one.piece.first, one.piece.count
        if first is None:
            continue
        begin = int(np.searchsorted(voice.first, first, "right")) - 1
        end = int(np.searchsorted(voice.first, first + count, "left"))
        for number in range(begin, end):
            if voice.packets[number].silent:
                continue
            offset = max(int(voice.first[number]) - first, 0)
            within = max(first - int(voice.first[number]), 0)
            rate = int(voice.rates[number])
            place_us = one.place_us + offset * 1_000_000 / one.rate
            error_us = place_us - (int(voice.true_us[number]) + within * 1_000_000 / rate)
            last = min(first + count, int(voice.first[number]) + rate // 50)
            end_us = one.place_us + (last - first) * 1_000_000 / one.rate
            yield Heard(number, place_us, error_us, end_us)


def _order(
    voice: VoiceTruth,
    heard: Sequence[Heard],
    offsets: Sequence[tuple[int, int]],
    verdict: Verdict,
) -> None:
    """Law 5: packets stand in the order spoken."""
    kept = [one.number for one in heard if not voice.is_free[one.number]]
    # Of audio that two sockets carry in turn, each has its own tolerance of 60 ms.
    sockets = {number: voice.packets[number].socket for number in kept}
    kept = [number for number in kept if not voice.packets[number].on_both]
    kept = sorted(kept, key=lambda number: sockets[number])
    for before, after in pairwise(kept):
        if sockets[before] != sockets[after]:
            continue
        pair = voice.packets[before], voice.packets[after]
        if any(one.wandering for one in pair) and not all(map(voice.is_timed, (before, after))):
            continue  # of a packet without a usable stamp, only the order of arrival is known
        if any(one.wandering for one in pair) and pair[0].stamp_us == pair[1].stamp_us:
            continue  # of equal stamps, too
        is_known = offsets[voice.region[after]] == offsets[voice.region[before]]
        if voice.region[after] != voice.region[before]:  # a jump is known to the unit of the stamps
            apart_us = voice.true_us[before] - voice.true_us[after]
            is_known = is_known and apart_us > unit_us(voice.world.plan)
        if after < before and is_known and not _near_small_step(voice, after):
            verdict.note("order", f"{voice.raw_id}: packet {after} follows packet {before}")
            return


def _near_small_step(voice: VoiceTruth, number: int) -> bool:
    """Whether a small step looks like packets out of order there."""
    depart_us = voice.packets[number].depart_us
    unit = unit_us(voice.world.plan)
    return any(
        is_unseen(size_us, unit) and abs(at_us - depart_us) < SECOND
        for at_us, size_us in voice.world.steps
    )


def _sorted_us(voice: VoiceTruth, number: int) -> int:
    """Returns how far a packet may be moved because a small step back near it looks like packets
    out of order, which are sorted.
    """
    depart_us = voice.packets[number].depart_us
    return sum(
        -size_us
        for at_us, size_us in voice.world.steps
        if size_us < 0 and is_unseen(size_us) and abs(at_us - depart_us) <= -size_us
    )


def _alignment(
    world: World,
    heard: Sequence[tuple[VoiceTruth, list[Heard]]],
    offsets: Sequence[tuple[int, int]],
    verdict: Verdict,
) -> None:
    """Law 3, 6 and 7: every packet within 60 ms of its true time, plus what physics leaves open."""
    unit = unit_us(world.plan) + hidden_us(world) + 100
    for region, (lowest, highest) in enumerate(offsets):
        least, most = (-1e18, ""), (1e18, "")  # bounds of the common offset
        for voice, packets in heard:
            for one in packets:
                number = one.number
                if voice.region[number] != region or voice.is_free[number]:
                    continue
                verdict.errors_ms.append(one.error_us / 1000)
                text = f"{voice.raw_id}: packet {number} is {one.error_us / 1000:+.1f} ms off"
                lower = TOLERANCE_US + unit + _sorted_us(voice, number)
                upper = lower + voice.excuse_us[number]
                least = max(least, (one.error_us - upper, text))
                most = min(most, (one.error_us + lower, text))
        if least[0] > highest:
            verdict.note("alignment", least[1])
        elif most[0] < lowest:
            verdict.note("alignment", most[1])
        elif least[0] > most[0]:
            verdict.note("alignment", f"{most[1]}, while {least[1]}")


def _together(
    world: World, heard: Sequence[tuple[VoiceTruth, list[Heard]]], verdict: Verdict
) -> None:
    """Law 3: tracks of a call lie within 60 ms of each other."""
    seconds: dict[tuple[int, int], list[tuple[float, float, str]]] = {}
    for voice, packets in heard:
        extent: dict[tuple[int, int], tuple[float, float]] = {}
        for one in packets:
            if voice.is_free[one.number]:
                continue
            excused = float(voice.excuse_us[one.number])
            second = voice.packets[one.number].true_us // SECOND
            key = int(voice.region[one.number]), second
            low, high = extent.get(key, (1e18, -1e18))
            extent[key] = min(low, one.error_us), max(high, one.error_us - excused)
        for key, (low, high) in extent.items():
            seconds.setdefault(key, []).append((low, high, voice.raw_id))
    limit = TOLERANCE_US + 2 * unit_us(world.plan) + hidden_us(world) + 1_000
    for (_, at), tracks in sorted(seconds.items()):
        for low, _, early in tracks:
            for _, high, late in tracks:
                if early != late and high - low > limit:
                    verdict.note(
                        "together",
                        f"at {at} s {late} lies {(high - low) / 1000:.1f} ms behind {early}",
                    )
                    return


def _counts(world: World, stored: Stored, verdict: Verdict) -> None:
    """Counts are those of the packets that arrived."""
    written = sum(len(packet.arrivals) for voice in world.packets for packet in voice)
    again = sum(max(len(packet.arrivals) - 1, 0) for voice in world.packets for packet in voice)
    audio = sum(facts.audio for facts in stored.facts)
    late = sum(facts.late for facts in stored.facts)
    duplicate = sum(facts.duplicate for facts in stored.facts)
    has_torn = any(socket.torn_bytes for socket in world.sockets)
    if audio != written and not has_torn:
        verdict.note("counts", f"{audio} packets are counted, {written} were written")
    if late > audio:
        verdict.note("counts", f"{late} packets are late, of {audio}")
    equal = sum(packet.silent for voice in world.packets for packet in voice)
    if not again <= duplicate <= again + equal and not world.plan.of("twin"):
        verdict.note("counts", f"{duplicate} duplicates are counted, {again} were sent")


def _duration(heard: Sequence[tuple[VoiceTruth, list[Heard]]], verdict: Verdict) -> None:
    stored = [one for _, packets in heard for one in packets]
    if not stored:
        return
    length_us = max(one.end_us for one in stored) - min(one.place_us for one in stored)
    true = [voice.true_us[one.number] for voice, packets in heard for one in packets]
    verdict.duration_error_ms = float(length_us - (max(true) + PACKET_US - min(true))) / 1000
