"""Packets that could not be written are the reason of their gap, whatever their timestamps are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from unittest import TestCase

import msgspec

from streams.journal.records import Record, Unwritten
from streams.sealing.digest import (
    StreamState,
    continue_axis,
    digest_of,
    dump_state,
    load_state,
)
from tests.streams.journals import audio_of, files_of, handshake_of, records_of
from tests.streams.packets import Sent, speech
from tests.streams.sealed import closed, seal, seal_one

HOUR_US = 3_600_000_000


def lost(packets: Sequence[Sent], voices: dict[int, int] | None = None) -> Unwritten:
    """Returns the record of packets that could not be written: of voice 0, or of `voices`, then
    without their timestamps.
    """
    if voices:
        stamps = [packet.timestamp_us or packet.spoken_us for packet in packets]
        return Unwritten(min(stamps), max(stamps), len(packets), voices)
    record = Unwritten.of(audio_of(packets[0]))
    for packet in packets[1:]:
        record = record.with_packet(audio_of(packet))
    return record


def with_loss(packets: Sequence[Sent], first: int, end: int) -> list[Record]:
    """Returns the records of a socket whose disk fails for the packets from `first` to `end`."""
    records = records_of(packets[:first])
    return [*records, lost(packets[first:end]), *map(audio_of, packets[end:]), closed()]


def stepped(packets: Sequence[Sent], first: int, by_us: int) -> list[Sent]:
    """Returns the packets after a step of the sender's clock."""
    return [
        replace(packet, timestamp_us=packet.spoken_us + (by_us if packet.number >= first else 0))
        for packet in packets
    ]


def reasons(records: Sequence[Record]) -> list[str]:
    return [gap.reason for _, gap in seal_one(records).gaps]


class LostPackets(TestCase):
    def test_after_a_step_of_the_clock_are_the_reason_of_their_gap(self) -> None:
        for by_us in (HOUR_US + 1_000_000, -HOUR_US, 2 * HOUR_US):
            with self.subTest(by_us=by_us):
                packets = stepped(speech(500), 100, by_us)
                self.assertEqual(reasons(with_loss(packets, 200, 220)), ["not_written"])

    def test_during_a_step_of_the_clock_are_the_reason_of_their_gap(self) -> None:
        packets = stepped(speech(500), 210, 2 * HOUR_US)
        self.assertEqual(reasons(with_loss(packets, 200, 220)), ["not_written"])

    def test_with_a_wrong_timestamp_are_not_the_reason_of_another_gap(self) -> None:
        packets = speech(500)
        packets[210] = replace(packets[210], timestamp_us=packets[210].spoken_us - HOUR_US)
        heard = [*packets[:50], *packets[100:]]
        self.assertEqual(reasons(with_loss(heard, 150, 170)), ["not_received", "not_written"])

    def test_without_timestamps_are_the_reason_of_their_gap(self) -> None:
        packets = speech(500)
        packets[200:230] = [replace(one, timestamp_us=None) for one in packets[200:230]]
        self.assertEqual(reasons(with_loss(packets, 200, 220)), ["not_written"])

    def test_before_a_wrong_timestamp_are_the_reason_of_their_gap(self) -> None:
        packets = speech(500)
        packets[220] = replace(packets[220], timestamp_us=packets[220].spoken_us + HOUR_US)
        self.assertEqual(reasons(with_loss(packets, 200, 220)), ["not_written"])

    def test_of_another_voice_are_not_the_reason(self) -> None:
        packets, other = speech(500), speech(500, participant="q")
        both = [one for pair in zip(packets, other, strict=True) for one in pair]
        heard = [one for one in both if one.participant == "q" or not 200 <= one.number < 220]
        records = records_of([*heard[:400]])
        records += [lost(other[200:210], {1: 10}), *map(audio_of_both, heard[410:]), closed()]
        found = [(raw_id, gap.reason) for raw_id, gap in seal_one(records).gaps]
        self.assertEqual(sorted(found), [("p", "not_received"), ("q", "not_written")])

    def test_are_the_reason_of_a_gap_that_a_later_file_finds(self) -> None:
        records = with_loss(stepped(speech(500), 100, HOUR_US), 200, 220)
        for cut in (202, 203, 210):
            handshake = handshake_of()
            sealed = seal(files_of(records, [cut], handshake), handshake)
            self.assertEqual([gap.reason for _, gap in sealed.gaps], ["not_written"])

    def test_twice_in_a_row_are_the_reason_of_one_gap(self) -> None:
        packets = speech(500)
        records: list[Record] = [*records_of(packets[:200]), lost(packets[200:205])]
        records += [lost(packets[205:220]), *map(audio_of, packets[220:]), closed()]
        self.assertEqual(reasons(records), ["not_written"])

    def test_that_leave_no_gap_are_not_the_reason_of_a_later_one(self) -> None:
        packets = speech(500)
        records = with_loss([*packets[:300], *packets[350:]], 200, 202)
        self.assertEqual(reasons(records), ["not_received"])

    def test_that_leave_no_gap_are_not_the_reason_of_the_pause_after_the_next_packet(self) -> None:
        """The track lies 40 ms early, so the gap begins where a lost packet was."""
        packets = speech(500)
        records = with_loss([*packets[:203], *packets[300:]], 200, 202)
        self.assertEqual(reasons(records), ["not_received"])

    def test_are_not_the_reason_of_a_later_gap_while_the_next_packet_is_held_back(self) -> None:
        """The clock has stepped, and the pause comes before five packets show it."""
        packets = stepped(speech(500), 150, 2 * HOUR_US)
        for untimed in (False, True):
            heard = [*packets[:222], *packets[230:]]
            if untimed:  # its order of arrival must do
                heard[205] = replace(heard[205], timestamp_us=None)
            self.assertEqual(reasons(with_loss(heard, 140, 220)), ["not_written", "not_received"])

    def test_are_not_the_reason_of_a_gap_before_a_packet_that_arrives_late(self) -> None:
        packets = speech(500)
        before, first, rest = packets[:100], packets[300], packets[301:]
        late = [*before, *rest[:20], *rest[20:25], first, *rest[25:]]
        self.assertEqual(reasons(with_loss(late, 100, 120)), ["not_received", "not_written"])

    def test_that_were_copies_of_received_ones_are_not_the_reason_of_a_gap(self) -> None:
        packets = speech(500)
        records = [*records_of(packets[:100]), lost(packets[50:53])]
        records += [*map(audio_of, packets[200:]), closed()]
        self.assertEqual(reasons(records), ["not_received"])

    def test_that_come_again_are_not_missing(self) -> None:
        packets = speech(500)
        again = [*packets[:100], packets[300], packets[300], *packets[301:]]
        self.assertEqual(reasons(with_loss(again, 100, 101)), ["not_received"])


class LostPacketsOfOldVersions(TestCase):
    """Their records do not name the voices."""

    def test_are_the_reason_of_a_gap_at_their_timestamps(self) -> None:
        packets = speech(500)
        noted = Unwritten(packets[200].spoken_us, packets[219].spoken_us, 20)
        records = [*records_of(packets[:200]), noted, *map(audio_of, packets[220:300])]
        records += [*map(audio_of, packets[350:]), closed()]
        self.assertEqual(reasons(records), ["not_written", "not_received"])

    def test_are_read_from_their_state(self) -> None:
        packets, handshake = speech(500), handshake_of()
        first = seal([records_of(packets[:200])], handshake, last=False)
        state = msgspec.msgpack.decode(dump_state(first.state))
        del state["losses"], state["heard"]
        noted = Unwritten(packets[200].spoken_us, packets[219].spoken_us, 20)
        state["unwritten"] = [msgspec.to_builtins(noted)]
        del state["unwritten"][0]["voices"]
        loaded = load_state(msgspec.msgpack.encode(state))
        digest = digest_of([*map(audio_of, packets[220:]), closed()], handshake, loaded, last=True)
        self.assertEqual([gap.reason for _, gap in digest.gaps], ["not_written"])
        self.assertEqual(loaded.unwritten, [])


class LostAtTheEndOfASocket(TestCase):
    packets = speech(500)

    def after_the_first(self, lost_at_end: bool) -> StreamState:
        records = [*records_of(self.packets[:200]), closed(self.packets[220].spoken_us)]
        if lost_at_end:
            records.insert(-1, lost(self.packets[200:210]))
        return seal_one(records).state

    def second(self, left: StreamState, *records: Record) -> list[str]:
        state = StreamState()
        continue_axis(state, left)
        state = load_state(dump_state(state))
        handshake = handshake_of(connected_us=self.packets[240].spoken_us)
        digest = digest_of(records, handshake, state, last=True)
        return [gap.reason for _, gap in digest.gaps]

    def test_packets_are_the_reason_of_the_gap_before_the_next(self) -> None:
        later = records_of(self.packets[250:])
        for is_lost, reason in ((True, "not_written"), (False, "not_connected")):
            left = self.after_the_first(lost_at_end=is_lost)
            self.assertEqual(self.second(left, *later, closed()), [reason])

    def test_the_first_packets_of_the_next_are_the_reason_of_the_gap_before_them(self) -> None:
        metadata, voice, *audio = records_of(self.packets[250:])
        later = [metadata, voice, lost(self.packets[245:250]), *audio, closed()]
        left = self.after_the_first(lost_at_end=False)
        self.assertEqual(self.second(left, *later), ["not_written"])

    def test_a_voice_without_any_packet_has_no_gap(self) -> None:
        packets = self.packets[:100]
        records = [*records_of(packets), lost(packets[:3], {7: 3}), *map(audio_of, packets)]
        sealed = seal_one([*records, closed()])
        self.assertEqual(sealed.gaps, [])
        self.assertEqual([one.raw_id for one in sealed.state.losses], ["damaged:7"])


def audio_of_both(packet: Sent) -> Record:
    return audio_of(packet, int(packet.participant == "q"))
