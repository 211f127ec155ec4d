"""The digest of journal files: samples and facts do not depend on the cut into files."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

import msgspec

from streams.journal.records import (
    Alarm,
    Audio,
    Counts,
    Damage,
    Dtmf,
    Unwritten,
    Voice,
)
from streams.sealing.digest import (
    StreamState,
    SubscriptionFacts,
    digest_of,
    handshake_in,
)
from tests.streams.journals import audio_of, files_of, handshake_of, metadata_of, records_of
from tests.streams.packets import PACKET_SAMPLES, PACKET_US, RATE, START_US, speech
from tests.streams.sealed import closed, seal, seal_one

START = START_US * RATE // 1_000_000


class FileContents(TestCase):
    def test_contiguous_audio_becomes_equal_segments_of_at_most_segment_seconds(self) -> None:
        packets = speech(120)
        sealed = seal_one([*records_of(packets), closed()], segment_seconds=1.0)
        self.assertEqual([one.sample_count for one in sealed.segments], [12_800, 12_800, 12_800])
        self.assertEqual([one.start_sample - START for one in sealed.segments], [0, 12_800, 25_600])
        self.assertEqual([one.packets for one in sealed.segments], [40, 40, 40])
        self.assertEqual(sealed.segments[-1].end_sample, START + 120 * PACKET_SAMPLES)
        self.assertEqual(
            b"".join(one.pcm for one in sealed.segments), b"".join(packet.pcm for packet in packets)
        )

    def test_audio_of_exactly_segment_seconds_is_one_segment(self) -> None:
        (one,) = seal_one([*records_of(speech(50)), closed()], segment_seconds=1.0).segments
        self.assertEqual(one.sample_count, RATE)

    def test_a_gap_ends_a_segment_and_is_reported(self) -> None:
        packets = speech(400)
        sealed = seal_one([*records_of(packets[:100] + packets[150:]), closed()])
        ((raw_id, gap),) = sealed.gaps
        self.assertEqual(
            (raw_id, gap.start_sample, gap.sample_count), ("p", START + 100 * 320, 50 * 320)
        )
        self.assertEqual(
            [(start, len(pcm) // 640) for start, _, pcm in sealed.samples()],
            [(START, 100), (START + 150 * 320, 250)],
        )

    def test_only_a_gap_during_a_disk_failure_is_not_written(self) -> None:
        packets = speech(700)
        noted = Unwritten(packets[100].spoken_us, packets[149].spoken_us, 50)
        heard = [*packets[:100], *packets[150:400], *packets[450:]]
        sealed = seal_one([*records_of(heard[:100]), noted, *map(audio_of, heard[100:]), closed()])
        self.assertEqual([gap.reason for _, gap in sealed.gaps], ["not_written", "not_received"])

    def test_an_alarm_is_reported_when_it_is_raised_and_when_it_is_cleared(self) -> None:
        raised = Alarm("clipping", 0, START_US)
        over = Alarm("clipping", 0, START_US, START_US + 7)
        records = [*records_of(speech(10)), raised, Alarm("clipping", 1, START_US), over, closed()]
        handshake = handshake_of()
        cut = seal(files_of(records, [len(records) - 2], handshake), handshake)
        self.assertEqual(
            cut.digests[0].alarms, [("p", raised), (None, Alarm("clipping", 1, START_US))]
        )
        self.assertEqual(len(cut.digests[1].alarms), 2)
        self.assertEqual(cut.digests[1].alarms[0], ("p", over))
        self.assertEqual(seal_one(records).digests[0].alarms, cut.digests[1].alarms)

    def test_an_active_alarm_ends_with_its_socket(self) -> None:
        stalled, later = (
            Alarm("stalled", None, START_US),
            Alarm("no_audio", None, START_US + 20_000_000),
        )
        ended_us = START_US + 10_000_000
        sealed = seal_one([metadata_of(), stalled, later, closed(ended_us)])
        self.assertEqual(
            [alarm.until_us for _, alarm in sealed.digests[0].alarms], [ended_us, later.since_us]
        )
        self.assertEqual(sealed.state.alarms, [])
        broken_off = seal_one([*records_of(speech(10)), stalled])
        ((raw_id, alarm),) = broken_off.digests[0].alarms
        self.assertEqual((raw_id, alarm.until_us), (None, broken_off.state.last_us))

    def test_each_voice_is_a_track_of_its_own(self) -> None:
        both = [
            packet
            for pair in zip(speech(10), speech(10, participant=""), strict=True)
            for packet in pair
        ]
        sealed = seal_one([*records_of(both), closed()])
        self.assertEqual(
            [(one.raw_id, one.start_sample) for one in sealed.segments], [("p", START), ("", START)]
        )

    def test_a_silent_packet_without_pcm_is_20_ms_of_zeros_at_the_rate_in_force(self) -> None:
        for rate in (16_000, 24_000):
            silent = Audio(START_US, START_US, 0, silent=True, pcm=b"")
            sealed = seal_one([metadata_of(rate=rate), Voice(0, "p"), silent, closed()])
            (one,) = sealed.segments
            self.assertEqual((one.pcm, one.sample_rate), (bytes(rate // 25), rate))

    def test_a_silent_packet_with_pcm_keeps_its_pcm(self) -> None:
        quiet = Audio(START_US, START_US, 0, silent=True, pcm=b"\x01\x00" * 320)
        (one,) = seal_one([metadata_of(), Voice(0, "p"), quiet, closed()]).segments
        self.assertEqual(one.pcm, quiet.pcm)

    def test_an_empty_packet_that_is_not_silent_is_counted_and_adds_nothing(self) -> None:
        empty = Audio(START_US, START_US, 0, silent=False, pcm=b"")
        sealed = seal_one([metadata_of(), Voice(0, "p"), empty, closed()])
        self.assertEqual((sealed.segments, sealed.facts()[0].audio), ([], 1))

    def test_a_first_packet_without_timestamp_is_placed_where_the_socket_was_opened(
        self,
    ) -> None:
        bare = [replace(packet, timestamp_us=None) for packet in speech(3)]
        (one,) = seal_one([*records_of(bare), closed()]).segments
        self.assertEqual((one.start_sample, one.sample_count), (START, 3 * 320))

    def test_dtmf_and_damage_are_passed_on(self) -> None:
        tone, damage = Dtmf(START_US + 5, "5"), Damage(10, 20, torn=False)
        sealed = seal_one([metadata_of(), tone, damage, closed()])
        self.assertEqual(sealed.entries(), [tone, damage])
        self.assertEqual(sealed.facts()[0].dtmf, 1)

    def test_reading_a_file_again_gives_the_same_digest(self) -> None:
        records = [handshake_of(), *records_of(speech(300)[::2]), closed()]
        self.assertEqual(seal([records]), seal([records]))


class Subscriptions(TestCase):
    def test_the_facts_are_those_of_the_metadata_and_the_handshake(self) -> None:
        (facts,) = seal_one([metadata_of(), closed(code=1001)]).facts()
        expected = SubscriptionFacts(
            *(0, START_US, "subscription-0", "PCM", RATE, 1, 640.0),
            disconnected_us=START_US + 10_000_000,
            close_code=1001,
        )
        self.assertEqual(facts, expected)

    def test_a_second_metadata_ends_the_first_subscription_and_begins_another(self) -> None:
        packets = speech(400)
        second = metadata_of(1, at_us=START_US + 200 * PACKET_US)
        records = [*records_of(packets[:200]), second, *map(audio_of, packets[200:]), closed()]
        sealed = seal_one(records)
        first_facts, second_facts = sealed.facts()
        self.assertEqual(
            (first_facts.disconnected_us, first_facts.close_code), (second.at_us, None)
        )
        self.assertEqual((second_facts.connected_us, second_facts.close_code), (second.at_us, 1000))
        self.assertEqual((first_facts.audio, second_facts.audio), (200, 200))
        self.assertEqual({one.subscription for one in sealed.segments}, {0, 1})
        self.assertEqual(
            [(start, len(pcm)) for start, _, pcm in sealed.samples()], [(START, 400 * 640)]
        )

    def test_a_change_of_rate_continues_on_the_same_axis(self) -> None:
        packets = [*speech(100), *(replace(packet, rate=24_000) for packet in speech(200)[100:])]
        records = [
            *records_of(packets[:100]),
            metadata_of(1, 24_000, START_US + 1),
            *map(audio_of, packets[100:]),
        ]
        sealed = seal_one([*records, closed()])
        first, second = sealed.samples()
        self.assertEqual((first[0], first[1], len(first[2])), (START, RATE, 100 * 640))
        self.assertEqual(
            (second[0] * 2, second[1], len(second[2])), ((START + 100 * 320) * 3, 24_000, 100 * 960)
        )
        self.assertEqual(
            [change.sample_rate for change in sealed.digests[0].rate_changes], [24_000]
        )

    def test_metadata_that_is_repeated_at_the_front_of_a_file_is_the_same_subscription(
        self,
    ) -> None:
        records = [*records_of(speech(20)), closed()]
        sealed = seal(files_of(records, [12], handshake_of()))
        self.assertEqual(len(sealed.facts()), 1)
        self.assertEqual(sealed.facts()[0].connected_us, START_US)

    def test_metadata_before_its_socket_by_our_clock_does_not_end_it_before_its_start(
        self,
    ) -> None:
        sealed = seal_one([metadata_of(), metadata_of(1, at_us=START_US - 5_000_000), closed()])
        self.assertEqual(sealed.facts()[0].disconnected_us, START_US)

    def test_a_close_before_the_start_by_our_clock_ends_it_at_its_start(self) -> None:
        sealed = seal_one([metadata_of(), closed(START_US - 1)])
        self.assertEqual(sealed.facts()[0].disconnected_us, START_US)


class OrderOfVoices(TestCase):
    def test_is_that_of_arrival_even_if_a_record_was_damaged_in_the_first_file(self) -> None:
        state = StreamState()
        for voices in ((1,), (0, 1, 2)):
            records = [Voice(index, f"p{index}") for index in voices]
            digest_of(records, handshake_of(), state, last=False)
        self.assertEqual(state.raw_ids, ["p0", "p1", "p2"])


class CountsOfMessages(TestCase):
    def test_packets_and_tones_are_counted_as_they_are_read(self) -> None:
        sealed = seal_one([*records_of(speech(7)), Dtmf(START_US, "1"), Dtmf(START_US, "2")])
        self.assertEqual((sealed.facts()[0].audio, sealed.facts()[0].dtmf), (7, 2))

    def test_the_socket_s_own_count_includes_damaged_and_unrecorded_messages(self) -> None:
        counts = Counts(0, audio=9, dtmf=1, unknown=3, malformed=4, reasons={"not JSON": 4})
        sealed = seal_one([*records_of(speech(7)), counts, closed()])
        (facts,) = sealed.facts()
        self.assertEqual((facts.audio, facts.dtmf, facts.unknown, facts.malformed), (9, 1, 3, 4))
        self.assertEqual(sealed.digests[0].reasons, {"not JSON": 4})

    def test_the_count_is_never_less_than_the_records_read(self) -> None:
        sealed = seal_one([*records_of(speech(7)), Counts(0, 5, 0, 0, 0, {})])
        self.assertEqual(sealed.facts()[0].audio, 7)

    def test_packets_with_an_odd_timestamp_are_counted_by_the_socket(self) -> None:
        sealed = seal_one([*records_of(speech(7)), Counts(0, 7, 0, 0, 0, {}, odd_timestamp=5)])
        self.assertEqual(sealed.facts()[0].odd_timestamp, 5)

    def test_counts_create_a_subscription_whose_metadata_is_damaged(self) -> None:
        sealed = seal_one([*records_of(speech(2)), Counts(1, 5, 0, 0, 0, {}), closed()])
        self.assertEqual([facts.audio for facts in sealed.facts()], [2, 5])

    def test_duplicates_and_late_packets_are_counted(self) -> None:
        packets = speech(10)
        sealed = seal_one(
            [
                *records_of([*packets[:5], packets[6], packets[5], packets[3], *packets[7:]]),
                closed(),
            ]
        )
        (facts,) = sealed.facts()
        self.assertEqual((facts.audio, facts.duplicate, facts.late), (11, 1, 1))

    def test_no_more_packets_are_late_than_were_received(self) -> None:
        packets = speech(60)
        back = [replace(one, timestamp_us=one.spoken_us - 900_000) for one in packets[30:]]
        metadata = [msgspec.structs.replace(metadata_of(), index=index) for index in (0, 1)]
        before, after = records_of(packets[:30]), [audio_of(one) for one in back]
        sealed = seal_one([metadata[0], *before, *after[:2], metadata[1], *after[2:], closed()])
        for facts in sealed.state.subscriptions.values():
            self.assertLessEqual(facts.late, facts.audio)


class DamagedFiles(TestCase):
    def test_a_file_without_its_handshake_has_none(self) -> None:
        self.assertIsNone(handshake_in(records_of(speech(1))))

    def test_a_file_without_its_handshake_uses_that_of_the_files_before(self) -> None:
        handshake = handshake_of()
        first, second = files_of([*records_of(speech(20)), closed()], [12], handshake)
        sealed = seal([first, second[1:]], handshake)
        self.assertEqual(
            [(start, len(pcm)) for start, _, pcm in sealed.samples()], [(START, 20 * 640)]
        )

    def test_without_its_metadata_a_first_file_is_taken_for_16_khz(self) -> None:
        (one,) = seal_one([*records_of(speech(5))[1:], closed()]).segments
        self.assertEqual((one.sample_rate, one.sample_count), (16_000, 5 * 320))

    def test_the_metadata_of_the_next_file_corrects_it(self) -> None:
        records = records_of(
            [replace(packet, rate=24_000) for packet in speech(300)], metadata_of(rate=24_000)
        )
        first, second = files_of([*records, closed()], [150], handshake_of())
        del first[1]
        sealed = seal([first, second])
        self.assertEqual(sealed.facts()[0].sample_rate, 24_000)
        self.assertEqual(sum(len(pcm) for _, _, pcm in sealed.samples()), 300 * 960)

    def test_audio_of_a_voice_without_a_name_is_kept_under_its_number(self) -> None:
        records = [record for record in records_of(speech(5)) if not isinstance(record, Voice)]
        (one,) = seal_one([*records, closed()]).segments
        self.assertEqual((one.raw_id, one.sample_count), ("damaged:0", 5 * 320))

    def test_a_voice_that_was_named_in_an_earlier_file_is_known(self) -> None:
        first, second = files_of([*records_of(speech(20)), closed()], [12], handshake_of())
        sealed = seal([first, [record for record in second if not isinstance(record, Voice)]])
        self.assertEqual({one.raw_id for one in sealed.segments}, {"p"})


class EndOfASocket(TestCase):
    def test_a_socket_that_continues_keeps_the_last_seconds_for_the_next_file(self) -> None:
        sealed = seal_one(records_of(speech(300)), last=False)
        self.assertEqual(sum(one.sample_count for one in sealed.segments), (300 - 125) * 320)
        self.assertIsNone(sealed.facts()[0].disconnected_us)
        self.assertFalse(sealed.state.is_over)

    def test_a_closed_socket_holds_nothing_back(self) -> None:
        sealed = seal_one([*records_of(speech(300)), closed()], last=False)
        self.assertEqual(sum(one.sample_count for one in sealed.segments), 300 * 320)
        self.assertFalse(sealed.digests[0].broken_off)
        self.assertTrue(sealed.state.is_over)

    def test_a_socket_whose_process_died_holds_nothing_back_and_is_broken_off(
        self,
    ) -> None:
        packets = speech(300)
        sealed = seal_one(records_of(packets), last=True)
        self.assertEqual(sum(one.sample_count for one in sealed.segments), 300 * 320)
        (facts,) = sealed.facts()
        self.assertEqual((facts.disconnected_us, facts.close_code), (packets[-1].spoken_us, None))
        self.assertTrue(sealed.digests[0].broken_off)
        self.assertTrue(sealed.state.is_over)

    def test_an_empty_state_is_not_over(self) -> None:
        self.assertFalse(StreamState().is_over)

    def test_the_gap_before_the_next_socket_has_its_reason(self) -> None:
        for end, reason in (([closed()], "not_connected"), ([], "recorder_stopped")):
            with self.subTest(reason=reason):
                packets = speech(400)
                before = seal_one([*records_of(packets[:100]), *end])
                state = StreamState(timeline=before.state.timeline)
                after = digest_of(
                    [*records_of(packets[200:]), closed()],
                    handshake_of(connected_us=packets[200].spoken_us),
                    state,
                    last=False,
                )
                ((_, gap),) = after.gaps
                self.assertEqual((gap.reason, gap.sample_count), (reason, 100 * 320))

    def test_audio_that_two_sockets_carry_alike_is_kept_once(self) -> None:
        packets = speech(400)
        before = seal_one([*records_of(packets[:210]), closed()])
        state = StreamState(timeline=before.state.timeline)
        handshake = handshake_of(connected_us=packets[200].spoken_us)
        after = digest_of([*records_of(packets[200:]), closed()], handshake, state, last=False)
        self.assertEqual(sum(one.sample_count for one in after.segments), 190 * 320)
        self.assertEqual(state.subscriptions[0].duplicate, 10)
