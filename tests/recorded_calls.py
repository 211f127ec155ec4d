"""End-to-end tests of one server: the simulator sends audio, the server records it and returns it.

Shared by `tests.end_to_end`, which runs them on each server.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
import soundfile
from django.test import SimpleTestCase

from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.report import CallReport, Report
from streams.simulator.scenario.faults import Faults, Stall
from streams.simulator.scenario.schedule import Absence, Press
from tests.end_to_end.installation import (
    AGENT,
    CALLER,
    Rest,
    noises,
    pcm_of,
    spoken,
)
from tests.servers import Server
from tests.waiting import wait_until

SECOND = 1_000_000

SPOKEN = spoken(57.0)  # the complete call of the demo
MIXED = spoken(8.0, raw_ids=("",))
HIGH = spoken(8.0, 24_000)
RECONNECTED = noises(
    9.0, seed=2, absences=(Absence(3 * SECOND, SECOND),), presses=(Press(SECOND, "7"),)
)
DISTURBED = noises(
    12.0,
    seed=3,
    faults=Faults(
        jitter_us=40_000, stalls=(Stall(4 * SECOND, 1_800_000),), reorder=0.05, duplicates=0.05
    ),
)
LOSSY = noises(9.0, seed=4, faults=Faults(lose_every=100))
LIVE = noises(8.0, seed=5)
SCRIPTS = {
    "spoken": SPOKEN,
    "mixed": MIXED,
    "high": HIGH,
    "reconnected": RECONNECTED,
    "disturbed": DISTURBED,
    "lossy": LOSSY,
}


@dataclass
class Recording:
    """A server that has recorded all scripts, and the live export made meanwhile."""

    server: Server
    rest: Rest
    reports: tuple[Report, ...]
    seen_live: LiveExport


@dataclass
class LiveExport:
    """The first audio of a live call that REST returned."""

    call: dict[str, Any]
    pcm: bytes


async def record(server: Server, rest: Rest) -> Recording:
    """Plays all scripts at full speed, but two in real time: one to watch, and the one whose
    packets arrive late, because an arrival that contradicts the timestamps is a clock that steps.
    """
    calls = tuple(PlannedCall(script, connection_id=name) for name, script in SCRIPTS.items())
    fast = tuple(call for call in calls if call.script is not DISTURBED)
    slow = tuple(call for call in calls if call.script is DISTURBED)
    live = (PlannedCall(LIVE, connection_id="live"),)
    async with asyncio.TaskGroup() as tasks:
        played = tasks.create_task(play(Plan(server.media_url, fast, speed=0)))
        paced = tasks.create_task(play(Plan(server.media_url, slow)))
        tasks.create_task(play(Plan(server.media_url, live)))
        watched = tasks.create_task(asyncio.to_thread(watch_live, rest))
    reports = (played.result(), paced.result())
    return Recording(server, rest, reports, watched.result())


def watch_live(rest: Rest) -> LiveExport:
    call = wait_until(
        lambda: _with_audio(rest.call("live")),
        what=lambda: "audio of a live call is sealed",
    )
    return LiveExport(call, rest.track(call, CALLER))


def _with_audio(call: dict[str, Any]) -> dict[str, Any] | None:
    return call if call["duration_seconds"] else None


class RecordedCalls(SimpleTestCase):
    """Tests of one recording."""

    recording: ClassVar[Recording]

    def setUp(self) -> None:
        self.server, self.rest = self.recording.server, self.recording.rest
        self.played = [call for report in self.recording.reports for call in report.calls]

    def sent(self, name: str) -> CallReport:
        [call] = [call for call in self.played if call.connection_id == name]
        return call

    def test_everything_was_accepted(self) -> None:
        self.assertEqual([call.problem for call in self.played], [""] * len(SCRIPTS))
        self.assertTrue(all(report.complete for report in self.recording.reports))

    def test_a_spoken_call_is_returned_bit_for_bit(self) -> None:
        call = self.rest.over("spoken")
        for voice in self.sent("spoken").voices:
            pcm = self.rest.track(call, voice.voice.raw_id)
            self.assertEqual(sha256(pcm).hexdigest(), voice.sha256)
            self.assertEqual(len(pcm) // 2, voice.samples)
        self.assertEqual((call["state"], call["duration_seconds"]), ("ended", 57.0))
        self.assertEqual([one["gap_seconds"] for one in call["participants"]], [0.0, 0.0])

    def test_its_tracks_are_aligned(self) -> None:
        call = self.rest.over("spoken")
        tracks, rate = self.rest.audio(call, layout="tracks")
        self.assertEqual((tracks.shape, rate), ((57 * 16_000, 2), 16_000))
        for channel, participant in enumerate(call["participants"]):
            self.assertEqual(tracks[:, channel].tobytes(), pcm_of(SPOKEN, participant["raw_id"]))

    def test_its_mix_is_playable_in_every_format(self) -> None:
        call = self.rest.over("spoken")
        for name, tolerance in (("wav", 0.0), ("flac", 0.0), ("mp3", 0.2), ("opus", 0.2)):
            with self.subTest(name):
                content = self.rest.body(
                    f"/api/v1/calls/{call['id']}/audio", format=name, layout="mix"
                )
                samples, rate = soundfile.read(BytesIO(content), always_2d=True)
                self.assertEqual(samples.shape[1], 1)
                self.assertAlmostEqual(len(samples) / rate, 57.0, delta=tolerance)
                self.assertGreater(float(np.abs(samples).max()), 0.1)

    def test_its_manifest_has_the_hashes_of_the_sent_audio(self) -> None:
        manifest = self.rest.manifest(self.rest.over("spoken"))
        for raw_id in (CALLER, AGENT):
            pcm, covered = pcm_of(SPOKEN, raw_id), 0
            for segment in manifest[raw_id]["segments"]:
                start = segment["start_sample"]
                end = start + segment["sample_count"]
                self.assertEqual(start, covered)
                self.assertEqual(segment["sha256"], sha256(pcm[2 * start : 2 * end]).hexdigest())
                covered = end
            self.assertEqual(covered, len(pcm) // 2)
            self.assertEqual(manifest[raw_id]["gaps"], [])

    def test_mixed_audio_is_one_track(self) -> None:
        call = self.rest.over("mixed")
        self.assertEqual(
            [(one["raw_id"], one["kind"]) for one in call["participants"]], [("", "mixed")]
        )
        self.assertEqual(self.rest.track(call, ""), pcm_of(MIXED, ""))

    def test_24_khz_stays_24_khz(self) -> None:
        call = self.rest.over("high")
        tracks, rate = self.rest.audio(call, layout="tracks")
        self.assertEqual((len(tracks), rate), (8 * 24_000, 24_000))
        for raw_id in (CALLER, AGENT):
            self.assertEqual(self.rest.track(call, raw_id), pcm_of(HIGH, raw_id))

    def test_a_reconnect_is_one_call_with_a_gap(self) -> None:
        call = self.rest.over("reconnected")
        self.assertEqual((len(call["subscriptions"]), call["state"]), (2, "ended"))
        self.assertEqual([one["close_code"] for one in call["subscriptions"]], [1000, 1000])
        disconnected = slice(3 * 32_000, 4 * 32_000)
        for raw_id in (CALLER, AGENT):
            pcm = bytearray(pcm_of(RECONNECTED, raw_id))
            pcm[disconnected] = bytes(32_000)
            self.assertEqual(self.rest.track(call, raw_id), bytes(pcm))
            [gap] = self.rest.manifest(call)[raw_id]["gaps"]
            self.assertEqual((gap["start"], gap["end"], gap["reason"]), (3.0, 4.0, "not_connected"))
        self.assertEqual(sum(one["counts"]["dtmf"] for one in call["subscriptions"]), 1)
        self.assertLessEqual({("reconnect", ""), ("dtmf", "")}, self.rest.ledger())

    def test_jitter_a_stall_reordering_and_duplicates_change_nothing(self) -> None:
        call = self.rest.over("disturbed")
        for voice in self.sent("disturbed").voices:
            track = self.rest.track(call, voice.voice.raw_id)
            # One voice may start some milliseconds later: the jitter of the first packets differs.
            self.assertIn(pcm_of(DISTURBED, voice.voice.raw_id), track)
            self.assertLess(len(track) - 2 * voice.samples, 2 * 16_000 * 0.04 + 2)
        counts = call["subscriptions"][0]["counts"]
        self.assertEqual(
            counts["duplicate"], sum(voice.duplicates for voice in self.sent("disturbed").voices)
        )
        self.assertGreater(counts["late"], 0)

    def test_a_single_lost_packet_is_no_gap_and_moves_nothing_by_more_than_60_ms(self) -> None:
        call = self.rest.over("lossy")
        for voice in self.sent("lossy").voices:
            lost = voice.lost * 320
            length = len(self.rest.track(call, voice.voice.raw_id)) // 2
            self.assertLessEqual(abs(length - (voice.samples + lost)), 16_000 * 0.06)
            self.assertEqual(
                self.rest.manifest(call)[voice.voice.raw_id]["counts"]["samples"], voice.samples
            )

    def test_a_live_call_can_be_exported_as_far_as_it_is_sealed(self) -> None:
        call, pcm = self.recording.seen_live.call, self.recording.seen_live.pcm
        self.assertEqual((call["state"], call["ended_at"]), ("live", None))
        self.assertGreater(len(pcm), 0)
        self.assertTrue(pcm_of(LIVE, CALLER).startswith(pcm))

    def test_the_live_call_is_complete_after_its_end(self) -> None:
        call = self.rest.over("live")
        self.assertEqual(call["state"], "ended")
        for raw_id in (CALLER, AGENT):
            self.assertEqual(self.rest.track(call, raw_id), pcm_of(LIVE, raw_id))

    def test_the_server_logs_no_traceback(self) -> None:
        for name in SCRIPTS:
            self.rest.over(name)
        self.assertNotIn("Traceback", self.server.log)
