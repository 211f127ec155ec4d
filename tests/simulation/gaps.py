"""The judge of gaps: law 4, and the reason of each gap. PURE."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from streams.timeline.timeline import Gap
from tests.simulation.plan import PACKET_US, SECOND
from tests.simulation.sockets import as_noted, last_written_us, may_have_died_last, unconnected
from tests.simulation.truth import TOLERANCE_US, VoiceTruth, hidden_us, unit_us
from tests.simulation.verdict import Heard, Verdict
from tests.simulation.world import START_US, Socket, World

NEVER_US = 1 << 62


def judge_gaps(
    voice: VoiceTruth,
    heard: Sequence[Heard],
    track: Sequence[tuple[int, int, bytes]],
    gaps: Sequence[Gap],
    verdict: Verdict,
) -> None:
    """Law 4: gaps are the times that no audio covers, each with the right reason."""
    entries = {_us(gap.start_sample, gap.sample_rate): gap for gap in gaps}
    if len(entries) < len(gaps):
        verdict.note("gaps", f"{voice.raw_id}: two gaps begin at the same sample")
    for (start, rate, pcm), (next_start, next_rate, _) in pairwise(track):
        end_us = _us(start + len(pcm) // 2, rate)
        space_us = _us(next_start, next_rate) - end_us
        gap = next((entries.pop(at) for at in list(entries) if abs(at - end_us) < 200), None)
        if space_us < -200:
            verdict.note("gaps", f"{voice.raw_id}: audio overlaps at {end_us / SECOND:.3f} s")
        elif gap is None and space_us > TOLERANCE_US + 200:
            verdict.note("gaps", f"{voice.raw_id}: {space_us / 1000:.1f} ms without a gap entry")
        elif gap and abs(gap.sample_count * 1e6 / gap.sample_rate - space_us) > 200:
            verdict.note("gaps", f"{voice.raw_id}: a gap of {space_us / 1000:.1f} ms has {gap}")
    for gap in entries.values():
        verdict.note("gaps", f"{voice.raw_id}: an entry where no time is missing: {gap}")
    if heard:
        start, rate, _ = track[0]
        _true_gaps(voice, heard, _us(start, rate), gaps, verdict)


def _us(sample: int, rate: int) -> float:
    """Returns the time of a sample of the axis since true time 0."""
    return sample * 1_000_000 / rate - START_US


def _true_gaps(
    voice: VoiceTruth,
    heard: Sequence[Heard],
    begin_us: float,
    gaps: Sequence[Gap],
    verdict: Verdict,
) -> None:
    """A gap needs more than 60 ms that are missing since the gap before it, or since the track
    began.
    """
    places = [one.place_us for one in heard]
    first, since = 0, _with_silence(voice, heard[0], begin_us)
    for gap in sorted(gaps, key=lambda gap: gap.start_sample / gap.sample_rate):
        gap_us = _us(gap.start_sample, gap.sample_rate)
        end_us = _us(gap.start_sample + gap.sample_count, gap.sample_rate)
        number = bisect_left(places, end_us - 200)
        if not 0 < number < len(heard):
            continue
        before, after = heard[number - 1], heard[number]
        others = [one for one in heard[first:number] if voice.is_free[one.number]]
        others_us = sum(
            one.end_us - one.place_us
            for one in others
            if not since.number <= one.number < after.number
        )
        _false_gap(voice, (since, after), (gap_us - others_us, end_us), verdict)
        if before.number < after.number:
            _reason(voice, before.number, after.number, gap, verdict)
        first, since = number, _with_silence(voice, after, end_us)


def _with_silence(voice: VoiceTruth, heard: Heard, begin_us: float) -> Heard:
    """Returns the first packet of the contiguous audio that begins at `begin_us`: silent packets
    are not among the `heard` ones, but time may be missing after them.
    """
    number, place_us = heard.number, heard.place_us
    while place_us - begin_us > PACKET_US // 2 and number and voice.packets[number - 1].silent:
        number, place_us = number - 1, place_us - PACKET_US
    return Heard(number, place_us, heard.error_us, heard.end_us)


def _false_gap(
    voice: VoiceTruth, between: tuple[Heard, Heard], gap_us: tuple[float, float], verdict: Verdict
) -> None:
    """Judges a gap from its start, without the audio of other times before it, to its end."""
    since, after = between
    number, unit = after.number, unit_us(voice.world.plan) + hidden_us(voice.world)
    if voice.is_free[since.number] or voice.is_free[number] or since.number >= number:
        return
    if voice.region[since.number] != voice.region[number]:
        return
    true_us = voice.true_us[number] - voice.true_us[since.number] - (after.place_us - gap_us[1])
    missing_us = true_us - (gap_us[0] - since.place_us)
    if missing_us + voice.delay_us[number] + 2 * unit + 200 < TOLERANCE_US:
        verdict.note(
            "gaps",
            f"{voice.raw_id}: a false gap of {(gap_us[1] - gap_us[0]) / 1000:.1f} ms before packet "
            f"{number}; {missing_us / 1000:.1f} ms are missing",
        )


def _reason(voice: VoiceTruth, before: int, after: int, gap: Gap, verdict: Verdict) -> None:
    """The reason of a gap between two packets is one of its causes, and the only one if it is."""
    start_us = int(voice.true_us[before]) + PACKET_US
    end_us = int(voice.true_us[after])
    if end_us - start_us <= TOLERANCE_US:  # of time that went missing before, bit by bit
        return
    sockets, missed = voice.world.sockets, voice.packets[before + 1 : after]
    end_us += voice.packets[after].delay_us  # the gap ends where the packet is stamped
    # a socket carries a packet when it is stamped: it may end before the packet does
    closed_us, ended = unconnected(sockets, start_us - PACKET_US, end_us)
    unwritten_us = sum(PACKET_US for packet in missed if packet.unwritten)
    rest_us = end_us - start_us - closed_us - unwritten_us
    if not closed_us:  # sockets that touch may arrive in the other order
        noted_us = max([end_us, *voice.packets[after].arrivals[:1]])
        _, ended = unconnected(as_noted(voice.world), start_us, noted_us)
    allowed = {"recorder_stopped" if one.dies else "not_connected" for one in ended}
    if unwritten_us or _may_be_unwritten(voice, before, after):
        allowed.add("not_written")
    if rest_us > TOLERANCE_US or not allowed or _touch(voice.world, ended):
        allowed.add("not_received")
    if any(one.socket >= 0 and sockets[one.socket].dies for one in missed if not one.is_received):
        allowed.add("recorder_stopped")  # they were on their way to it
    lost = [one for one in sockets if one.torn_bytes or one.lost_end]
    if any(last_written_us(one, voice.world) <= end_us for one in lost):
        allowed.add("recorder_stopped")  # the end of the socket, or what was lost, is not on disk
    if ended and may_have_died_last(voice.world, start_us, end_us):
        allowed.add("recorder_stopped")
    if gap.reason not in allowed:
        verdict.note(
            "reason",
            f"{voice.raw_id}: a gap of {(end_us - start_us) / SECOND:.3f} s before packet {after} "
            f"is {gap.reason}, right: {' or '.join(sorted(allowed))}",
        )


def _may_be_unwritten(voice: VoiceTruth, before: int, after: int) -> bool:
    """Whether a packet without a timestamp that could not be written may have been spoken in the
    gap: of all packets between them, the order spoken is unknown.
    """
    packets = voice.packets
    lost = [one.number for one in packets if one.unwritten and one.stamp_us is None]
    return any(
        all(
            one.wandering or one.stamp_us is None or not one.is_received
            for one in (*packets[number:after], *packets[before + 1 : number + 1])
        )
        for number in lost
    )


def _touch(world: World, ended: Sequence[Socket]) -> bool:
    """Whether the next socket opened, by what the recorder notes, before these had ended: the
    network held up the news of both.
    """
    noted_us, noted = unconnected(as_noted(world), -NEVER_US, NEVER_US)
    numbers = {one.number for one in noted} if noted_us else set()
    return any(one.number not in numbers for one in ended)
