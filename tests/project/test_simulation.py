"""The simulation of a recorder's life: its judge notices every planted fault, a seed always gives
the same call, and a fixed range of seeds holds all laws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

import numpy as np
from django.test import TestCase as DatabaseTestCase
from django.test import override_settings, tag

from streams.timeline.timeline import Gap
from tests.settings import STORAGES
from tests.simulation import mutations
from tests.simulation.judge import judged
from tests.simulation.plan import HOUR, KINDS, PACKET_US, SECOND, Fault, Plan, Spurt, Voice, plan_of
from tests.simulation.recorder import Recorder, Stored, digested
from tests.simulation.report import Totals, table
from tests.simulation.runs import simulate
from tests.simulation.samples import Piece, pieces_of, voice_samples
from tests.simulation.shrink import shrunk
from tests.simulation.sockets import as_noted
from tests.simulation.trial import tried
from tests.simulation.truth import VoiceTruth
from tests.simulation.world import START_US, World, world_of

SEEDS = range(400)
"""Well under a minute on one core."""

NOT_YET = frozenset({"split", "twin"})
"""Kinds of faults that break a law today, alone or with others. Take one out once it is mended."""

MEMORY = {**STORAGES, "audio": {"BACKEND": "tests.simulation.sealing.MemoryStore"}}
RATE = 16_000
START = START_US * RATE // SECOND


def plan(*faults: Fault, voices: tuple[Voice, ...] | None = None) -> Plan:
    """Returns a call of two voices; the second one pauses for a second."""
    both = (
        Voice("8:acs:a", 0, (Spurt(SECOND, 200),)),
        Voice("8:acs:b", 0, (Spurt(SECOND, 50), Spurt(3 * SECOND, 50))),
    )
    return Plan(0, RATE, 6, 6 * SECOND, voices or both, faults, 2 * SECOND, 10.0, with_rows=False)


@tag("once")
class Recorded(TestCase):
    """A call that is recorded rightly."""

    faults: tuple[Fault, ...] = ()

    def setUp(self) -> None:
        spool = Path(self.enterContext(TemporaryDirectory(prefix="acsmedia-simulation-")))
        self.world: World = world_of(plan(*self.faults))
        recorder = Recorder(self.world, spool)
        for _ in recorder.run():
            pass
        self.stored: Stored = digested(recorder, at_once=False)

    def laws(self) -> set[str]:
        return {violation.law for violation in judged(self.world, self.stored).violations}

    def change(
        self, raw_id: str, number: int, change: Callable[[int, bytes], tuple[int, bytes]]
    ) -> None:
        """Changes start and PCM of a run of a track."""
        start, rate, pcm = self.stored.tracks[raw_id][number]
        start, pcm = change(start, pcm)
        self.stored.tracks[raw_id][number] = (start, rate, pcm)


class TheJudge(Recorded):
    def test_accepts_a_call_that_is_recorded_rightly(self) -> None:
        self.assertEqual(self.laws(), set())
        self.assertEqual([len(self.stored.tracks[f"8:acs:{one}"]) for one in "ab"], [1, 2])

    def test_notices_one_missing_sample(self) -> None:
        self.change("8:acs:a", 0, lambda start, pcm: (start, pcm[:-2]))
        self.assertEqual(self.laws(), {"conservation"})

    def test_notices_one_repeated_sample(self) -> None:
        self.change("8:acs:a", 0, lambda start, pcm: (start, pcm[:640] + pcm[636:]))
        self.assertIn("conservation", self.laws())

    def test_notices_samples_that_nobody_has_spoken(self) -> None:
        self.change("8:acs:a", 0, lambda start, pcm: (start, pcm + b"\x01\x02" * 320))
        self.assertIn("conservation", self.laws())

    def test_notices_silence_that_was_not_received(self) -> None:
        self.change("8:acs:a", 0, lambda start, pcm: (start, pcm + bytes(640)))
        self.assertIn("conservation", self.laws())

    def test_notices_audio_of_another_voice(self) -> None:
        self.stored.tracks["8:acs:a"], self.stored.tracks["8:acs:b"] = (
            self.stored.tracks["8:acs:b"],
            self.stored.tracks["8:acs:a"],
        )
        self.assertIn("conservation", self.laws())

    def test_notices_swapped_packets(self) -> None:
        self.change(
            "8:acs:a", 0, lambda start, pcm: (start, pcm[640:1280] + pcm[:640] + pcm[1280:])
        )
        self.assertEqual(self.laws(), {"order"})

    def test_notices_a_track_that_is_62_ms_late_and_none_that_is_59_ms_late(self) -> None:
        self.change("8:acs:a", 0, lambda start, pcm: (start + 59 * 16, pcm))
        self.assertEqual(self.laws(), set())
        self.change("8:acs:a", 0, lambda start, pcm: (start + 3 * 16, pcm))
        self.assertIn("alignment", self.laws())

    def test_notices_two_tracks_that_are_80_ms_apart(self) -> None:
        self.change("8:acs:a", 0, lambda start, pcm: (start + 40 * 16, pcm))
        for number in (0, 1):
            self.change("8:acs:b", number, lambda start, pcm: (start - 40 * 16, pcm))
        gaps = self.stored.gaps["8:acs:b"]
        gaps[0] = Gap(gaps[0].start_sample - 640, gaps[0].sample_count, RATE, gaps[0].reason)
        self.assertEqual(self.laws(), {"together"})

    def test_notices_a_missing_gap_a_gap_too_many_and_a_wrong_reason(self) -> None:
        gap = self.stored.gaps["8:acs:b"][0]
        self.stored.gaps["8:acs:b"] = []
        self.assertEqual(self.laws(), {"gaps"})
        self.stored.gaps["8:acs:b"] = [
            gap,
            Gap(gap.start_sample - 32_000, 1600, RATE, "not_received"),
        ]
        self.assertEqual(self.laws(), {"gaps"})
        self.stored.gaps["8:acs:b"] = [
            Gap(gap.start_sample, gap.sample_count, RATE, "recorder_stopped")
        ]
        self.assertEqual(self.laws(), {"reason"})

    def test_notices_a_gap_where_nothing_is_missing(self) -> None:
        start, rate, pcm = self.stored.tracks["8:acs:a"][0]
        moved = start + 320 * 100 + 59 * 16 + 32
        self.stored.tracks["8:acs:a"] = [
            (start - 944, rate, pcm[:64_000]),
            (moved - 944, rate, pcm[64_000:]),
        ]
        self.stored.gaps["8:acs:a"] = [Gap(start - 944 + 32_000, 976, rate, "not_received")]
        self.assertIn("gaps", self.laws())

    def test_notices_wrong_counts(self) -> None:
        self.stored.facts[0].audio += 1
        self.assertEqual(self.laws(), {"counts"})
        self.stored.facts[0].late = 10_000
        self.assertEqual(self.laws(), {"counts"})


class TheJudgeOfAPause(Recorded):
    faults = (Fault("pause", 2_500_000, HOUR // 2),)

    def test_notices_a_pause_that_is_too_short(self) -> None:
        self.assertEqual(self.laws(), set())
        self.change("8:acs:b", 1, lambda start, pcm: (start - RATE, pcm))
        self.assertIn("alignment", self.laws())


@tag("once")
class TheTruth(TestCase):
    """Allowances of the judge for what no recorder can know."""

    def truth(self, recorded: Plan) -> VoiceTruth:
        """Returns the truth about the first voice of a recorded call."""
        world = world_of(recorded)
        spool = Path(self.enterContext(TemporaryDirectory(prefix="acsmedia-simulation-")))
        for _ in Recorder(world, spool).run():
            pass
        return VoiceTruth(world, 0)

    def test_a_small_step_ahead_after_late_stamps_looks_like_lost_audio(self) -> None:
        jitter = Fault("jitter", us=400_000, seed=1)
        late = self.truth(plan(jitter))
        small = self.truth(plan(jitter, Fault("step", 3 * SECOND, 300_000)))
        more = small.delay_us - late.delay_us
        self.assertGreater(more[small.region == 0].max(), 60_000)
        self.assertFalse(more[small.region == 1].any())
        large = self.truth(plan(jitter, Fault("step", 3 * SECOND, SECOND)))
        self.assertEqual(large.delay_us.tolist(), late.delay_us.tolist())

    def test_a_stray_may_look_like_a_packet_out_of_order_that_the_network_held_up(self) -> None:
        for stray_us, is_free in ((-4_500_000, True), (-7_100_000, False), (4_500_000, False)):
            spurts = (Spurt(SECOND, 50), Spurt(6 * SECOND, 50))
            stray = Fault("stray", 5 * SECOND, stray_us, voice=0)
            voice = self.truth(plan(stray, voices=(Voice("8:acs:a", 0, spurts),)))
            with self.subTest(stray_us=stray_us):
                self.assertEqual(voice.is_free.tolist(), [False] * 50 + [is_free] + [False] * 49)

    def test_packets_beside_a_small_step_back_are_sorted_and_may_lag_before_it(self) -> None:
        spurts = (Spurt(SECOND, 150),)
        faults = (Fault("loss", 2 * SECOND, count=6, voice=0), Fault("step", 2_641_000, -60_000))
        call = plan(*faults, voices=(Voice("8:acs:a", 0, spurts),))
        self.assertEqual(tried(call).violations, [])


@tag("once")
class NumberedSamples(TestCase):
    def test_are_found_from_any_two_neighbours(self) -> None:
        spoken = voice_samples(3, 70_000)
        for first in (0, 1, 2, 319, 32_767, 32_768, 65_534, 65_535):
            (piece,) = pieces_of(spoken[first : first + 4_000], spoken, 3)
            self.assertEqual(piece, Piece(0, first, 4_000))

    def test_are_split_where_they_are_not_contiguous(self) -> None:
        spoken = voice_samples(1, 10_000)
        recorded = np.concatenate(
            [spoken[:100], np.zeros(7, np.int16), spoken[501:600], spoken[:50]]
        )
        self.assertEqual(
            list(pieces_of(recorded, spoken, 1)),
            [Piece(0, 0, 100), Piece(100, None, 7), Piece(107, 501, 99), Piece(206, 0, 50)],
        )


@tag("once")
class Seeds(TestCase):
    def test_a_seed_always_gives_the_same_call_and_the_same_result(self) -> None:
        for seed in range(40):
            with self.subTest(seed=seed):
                self.assertEqual(plan_of(seed), plan_of(seed))
                digest = replace(plan_of(seed), with_rows=False)
                one, other = tried(digest), tried(digest)
                self.assertEqual(one.verdict, other.verdict)

    def test_every_kind_of_fault_occurs(self) -> None:
        kinds = {fault.kind for seed in range(500) for fault in plan_of(seed).faults}
        self.assertEqual(kinds, KINDS.keys() - {"drift"})

    def test_a_failing_call_shrinks_to_its_cause(self) -> None:
        faults = (Fault("loss", 2 * SECOND, count=3, voice=0), Fault("step", 3 * SECOND, SECOND))
        small = shrunk(
            plan(*faults), lambda one: bool(one.of("step")) and bool(one.voices[0].spurts)
        )
        self.assertEqual((len(small.voices), small.faults), (1, faults[1:]))
        self.assertEqual(small.voices[0].spurts[0].packets, 1)

    def test_the_table_shows_totals_and_failures(self) -> None:
        totals = Totals()
        totals.note(tried(plan(Fault("loss", 2 * SECOND, count=3, voice=0))))
        self.assertIn("all laws hold", table(totals, 1.0))
        self.assertEqual((totals.calls, totals.failures), (1, []))


@tag("once")
class Mutations(TestCase):
    def test_the_text_of_each_is_in_the_code_once(self) -> None:
        for mutation in mutations.MUTATIONS:
            with self.subTest(mutation.meaning):
                content = (mutations.ROOT / mutation.file).read_text(encoding="utf-8")
                self.assertNotEqual(mutations.mutated(content, mutation), content)

    def test_a_text_that_is_not_in_the_code_is_an_error(self) -> None:
        with self.assertRaises(ValueError):
            mutations.mutated("nothing", mutations.MUTATIONS[0])


@tag("once")
@override_settings(STORAGES=MEMORY)
class TheLawsHold(DatabaseTestCase):
    def test_for_a_fixed_range_of_seeds(self) -> None:
        kinds = [kind for kind in KINDS if kind not in NOT_YET]
        totals = simulate(SEEDS, kinds)
        self.assertEqual([(one.seed, one.texts) for one in totals.failures], [])
        self.assertEqual(totals.calls, len(SEEDS))
        self.assertGreater(totals.with_rows, len(SEEDS) // 20)


@tag("once")
@override_settings(STORAGES=MEMORY)
class TwoSockets(DatabaseTestCase):
    """Calls that once broke a law, as small as possible: seed, speech of one voice, faults."""

    def assert_laws(self, seed: int, spurts: tuple[Spurt, ...], *faults: Fault) -> None:
        call = replace(plan(*faults, voices=(Voice("8:acs:a", 0, spurts),)), seed=seed)
        length_us = max(one.start_us + one.packets * PACKET_US for one in spurts)
        outcome = tried(replace(call, length_us=length_us, with_rows=True))
        self.assertEqual(outcome.violations, [])

    def test_that_touch_after_a_stall_of_the_network(self) -> None:
        faults = Fault("network", 6_144_260, 4_788_691), Fault("split", 7_506_194, 4_605_556)
        split = replace(faults[1], seed=320_557_589)
        self.assert_laws(8106057, (Spurt(7_521_957, 11),), faults[0], split)

    def test_of_which_one_goes_on_between_equal_packets_in_its_next_file(self) -> None:
        twin = Fault("twin", 623_422, 4_124_655, seed=523_303_363)
        self.assert_laws(67000498, (Spurt(200_000, 371),), twin)

    def test_of_which_one_follows_where_late_audio_was_pushed(self) -> None:
        jitter = Fault("jitter", us=400_000, seed=1_787_671_376)
        twin = Fault("twin", 1_237_739, 94_202, seed=2_964_432_232)
        lingering = Fault("lingering", 3_656_637, 735, seed=3_977_028_111)
        self.assert_laws(8103366, (Spurt(200_000, 214),), jitter, lingering, twin)

    def test_of_which_one_has_not_carried_all_packets_without_timestamp(self) -> None:
        twin = Fault("twin", 4_388_181, 3_759_325, seed=2_614_256_508)
        untimed = Fault("untimed", 667_854, count=18, voice=0)
        self.assert_laws(8003172, (Spurt(7_481_153, 37),), twin, untimed)
        split = Fault("split", 1_195_260, 4_433_715, seed=4_273_340_428)
        untimed = Fault("untimed", 3_419_993, count=24, voice=0)
        self.assert_laws(67000416, (Spurt(1_546_647, 207),), split, untimed)


@tag("once")
@override_settings(STORAGES=MEMORY)
class TwoLives(DatabaseTestCase):
    """Calls that leave the same journals as others with another truth: no recorder can tell them
    apart.
    """

    def journals(self, recorded: Plan) -> dict[str, bytes]:
        spool = Path(self.enterContext(TemporaryDirectory(prefix="acsmedia-simulation-")))
        for _ in Recorder(world_of(recorded), spool).run():
            pass
        return {path.name: path.read_bytes() for path in spool.rglob("*.*")}

    def test_a_process_may_have_died_before_or_after_the_older_socket_ended(self) -> None:
        voices = (Voice("8:acs:a", 0, (Spurt(200_000, 1), Spurt(4_200_000, 1))),)
        lingering = Fault("lingering", 2_500_000, 1_520_000)  # until 4.02 s
        before, after = (
            replace(plan(lingering, kill, voices=voices), with_rows=True)
            for kill in (Fault("kill", 3 * SECOND, 1_150_000), Fault("kill", 4_100_000, 50_000))
        )
        self.assertEqual(self.journals(before), self.journals(after))
        for life in (before, after):
            self.assertEqual(tried(life).violations, [])

    def test_of_two_equal_timestamps_one_of_them_delayed_either_may_be_the_first(self) -> None:
        unit_us = SECOND // 10
        lives = [
            {"delayed": 100_000, "untimed": 120_000, "prompt": 140_000},
            {"prompt": 100_000, "untimed": 120_000, "delayed": 140_000},
        ]
        arrivals = {"untimed": 150_000, "prompt": 175_000, "delayed": 400_000}
        journals = []
        for life in lives:
            self.assertTrue(all(arrivals[name] > spoken_us for name, spoken_us in life.items()))
            stamps = {name: spoken_us // unit_us for name, spoken_us in life.items()}
            journals.append([(at_us, name, stamps[name]) for name, at_us in arrivals.items()])
        self.assertEqual(journals[0], journals[1])
        faults = (
            Fault("coarse", 0, unit_us),
            Fault("reorder", 3_090_000, 250_900, 1, 0),
            Fault("untimed", 3_115_000, 0, 1, 0),
        )
        voices = (Voice("8:acs:c", 0, (Spurt(3_020_000, 7),)),)
        self.assertEqual(tried(plan(*faults, voices=voices)).violations, [])

    def test_sockets_that_overlap_by_a_moment_may_arrive_one_after_the_other(self) -> None:
        voices = (Voice("8:acs:a", 0, (Spurt(SECOND, 50), Spurt(4 * SECOND, 50))),)
        lingering = Fault("lingering", 3_985_000, 1_000)
        life = replace(plan(lingering, voices=voices), seed=3, with_rows=True)
        older, younger = as_noted(world_of(life))
        self.assertLess(older.close_us, younger.open_us)
        self.assertEqual(tried(life).violations, [])
