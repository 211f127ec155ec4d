"""States between the files of a socket, and the segments of a run."""

from __future__ import annotations

from unittest import TestCase

import msgspec

from streams.journal.records import (
    ClockStep,
    Counts,
)
from streams.sealing.digest import (
    StreamState,
    digest_of,
    dump_state,
    load_state,
    segments_of,
)
from streams.timeline.timeline import Run
from tests.streams.journals import audio_of, files_of, handshake_of, records_of
from tests.streams.packets import PACKET_SAMPLES, RATE, START_US, speech
from tests.streams.sealed import closed, seal_one


class States(TestCase):
    def test_a_state_is_read_back_as_it_was_written(self) -> None:
        state = seal_one([*records_of(speech(300)), Counts(0, 1, 2, 3, 4, {})], last=False).state
        self.assertEqual(load_state(dump_state(state)), state)

    def test_a_state_with_members_of_another_version_is_read_and_no_audio_in_it_is_lost(
        self,
    ) -> None:
        spoken, handshake = speech(300), handshake_of()
        first, second = files_of([*records_of(spoken), closed()], [200], handshake)
        state = StreamState()
        begun = digest_of(first, handshake, state, last=False)
        left = msgspec.msgpack.decode(dump_state(state))
        track = left["timeline"]["tracks"]["p"]
        del track["remembered"], track["counted"]
        track |= {
            "recent": {b"hash": [START_US, 1]},
            "disordered": False,
            "queued": 7,
            "lows": [[1, 2]],
        }
        track["waiting"] = [{**packet, "before": 9} for packet in track["waiting"]]
        ended = digest_of(second, handshake, load_state(msgspec.msgpack.encode(left)), last=True)
        pcm = b"".join(segment.pcm for digest in (begun, ended) for segment in digest.segments)
        self.assertEqual(pcm, b"".join(packet.pcm for packet in spoken))

    def test_steps_of_the_hosts_clock_add_up_over_all_files(self) -> None:
        state, handshake = StreamState(), handshake_of()
        digest_of([ClockStep(START_US, -3_600_000_000)], handshake, state, last=False)
        left = load_state(dump_state(state))
        digest_of([ClockStep(START_US, 60_000_000)], handshake, left, last=False)
        self.assertEqual(left.timeline.arrival.host_step_us, -3_540_000_000)

    def test_a_pause_that_only_the_hosts_wall_clock_has_seen_is_a_gap(self) -> None:
        spoken = speech(500)
        hour = 3_600_000_000
        records = records_of(spoken[:250])
        after = [
            msgspec.structs.replace(audio_of(one), timestamp_us=one.spoken_us + 2 * hour)
            for one in spoken[250:]
        ]
        for step, gaps in ((ClockStep(START_US, 2 * hour), 1), (None, 0)):
            with self.subTest(step=step):
                sealed = seal_one([*records, *([step] if step else []), *after, closed()])
                self.assertEqual(len(sealed.gaps), gaps)

    def test_invalid_states_are_rejected(self) -> None:
        for content in (
            b"",
            b"\xff",
            msgspec.msgpack.encode([1]),
            msgspec.msgpack.encode({"current": "x"}),
        ):
            with self.subTest(content=content), self.assertRaises(msgspec.DecodeError):
                load_state(content)

    def test_the_pieces_of_a_run_have_all_its_packets(self) -> None:
        run = Run(0, RATE, [packet.pcm for packet in speech(625)], 625 * PACKET_SAMPLES)
        pieces = segments_of(run, "p", 0, 10.0)
        self.assertEqual([one.packets for one in pieces], [312, 313])

    def test_a_run_is_cut_between_samples_also_at_odd_lengths(self) -> None:
        run = Run(100, 8_000, [bytes(10), bytes(12)], 11)
        pieces = segments_of(run, "p", 0, 4 / 8_000)
        self.assertEqual(
            [(one.start_sample, one.sample_count) for one in pieces], [(100, 4), (104, 4), (108, 3)]
        )
        tiny = segments_of(run, "p", 0, 0.0)
        self.assertEqual((len(tiny), {one.packets for one in tiny}), (11, {1}))
