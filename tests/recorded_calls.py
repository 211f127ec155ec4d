"""The whole way on one server: the simulator speaks, the recorder records, REST gives back what was
said.

The statements of `test_end_to_end`, which says on which servers.
"""

from __future__ import annotations

import asyncio
import time
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
from streams.timeline.track import LOOK_AHEAD_US
from tests.end_to_end.installation import (
    AGENT,
    CALLER,
    SEGMENT_SECONDS,
    Rest,
    noises,
    pcm_of,
    spoken,
)
from tests.servers import Server
from tests.waiting import wait_until

SECOND = 1_000_000
BUSY_SECONDS = 3.0
"""What a machine that does much besides may take longer, the start of the sealer's process among
it.
"""

SPOKEN = spoken(57.0)  # the demo's own call, whole
MIXED = spoken(8.0, raw_ids=("",))
HIGH = spoken(8.0, 24_000)
BROKEN_OFF = noises(
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
    "reconnected": BROKEN_OFF,
    "disturbed": DISTURBED,
    "lossy": LOSSY,
}


@dataclass
class Recording:
    """One server that has been played everything, and what was seen of it meanwhile."""

    server: Server
    rest: Rest
    report: Report
    seen_live: LiveExport


@dataclass
class LiveExport:
    """What REST gave of a call that went on, as soon as it gave any audio."""

    call: dict[str, Any]
    pcm: bytes
    after_seconds: float


async def record(server: Server, rest: Rest) -> Recording:
    """Plays all scripts as fast as they are taken, and beside them one call in real time that is
    looked at.
    """
    calls = tuple(PlannedCall(script, connection_id=name) for name, script in SCRIPTS.items())
    async with asyncio.TaskGroup() as tasks:
        played = tasks.create_task(play(Plan(server.media_url, calls, speed=0)))
        tasks.create_task(play(Plan(server.media_url, (PlannedCall(LIVE, connection_id="live"),))))
        watched = tasks.create_task(asyncio.to_thread(watch_live, rest))
    return Recording(server, rest, played.result(), watched.result())


def watch_live(rest: Rest) -> LiveExport:
    began = time.monotonic()
    call = wait_until(
        lambda: _with_audio(rest.call("live")),
        what=lambda: "a call that goes on is sealed in pieces",
    )
    return LiveExport(call, rest.track(call, CALLER), time.monotonic() - began)


def _with_audio(call: dict[str, Any]) -> dict[str, Any] | None:
    return call if call["duration_seconds"] else None


class Recorded(SimpleTestCase):
    """Statements about one recording."""

    recording: ClassVar[Recording]

    def setUp(self) -> None:
        self.server, self.rest, self.report = (
            self.recording.server,
            self.recording.rest,
            self.recording.report,
        )

    def sent(self, name: str) -> CallReport:
        [call] = [call for call in self.report.calls if call.connection_id == name]
        return call

    def test_everything_was_taken(self) -> None:
        self.assertEqual([call.problem for call in self.report.calls], [""] * len(SCRIPTS))
        self.assertTrue(self.report.complete)

    def test_a_spoken_call_comes_back_bit_for_bit(self) -> None:
        call = self.rest.over("spoken")
        for voice in self.sent("spoken").voices:
            pcm = self.rest.track(call, voice.voice.raw_id)
            self.assertEqual(sha256(pcm).hexdigest(), voice.sha256)
            self.assertEqual(len(pcm) // 2, voice.samples)
        self.assertEqual((call["state"], call["duration_seconds"]), ("ended", 57.0))
        self.assertEqual([one["gap_seconds"] for one in call["participants"]], [0.0, 0.0])

    def test_its_tracks_are_in_step(self) -> None:
        call = self.rest.over("spoken")
        tracks, rate = self.rest.audio(call, layout="tracks")
        self.assertEqual((tracks.shape, rate), ((57 * 16_000, 2), 16_000))
        for channel, participant in enumerate(call["participants"]):
            self.assertEqual(tracks[:, channel].tobytes(), pcm_of(SPOKEN, participant["raw_id"]))

    def test_its_mix_can_be_played_in_every_format(self) -> None:
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

    def test_its_manifest_has_the_hashes_of_what_was_sent(self) -> None:
        manifest = self.rest.manifest(self.rest.over("spoken"))
        for raw_id in (CALLER, AGENT):
            pcm, covered = pcm_of(SPOKEN, raw_id), 0
            for segment in manifest[raw_id]["segments"]:
                start, end = (
                    segment["start_sample"],
                    segment["start_sample"] + segment["sample_count"],
                )
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
        away = slice(3 * 32_000, 4 * 32_000)
        for raw_id in (CALLER, AGENT):
            pcm = bytearray(pcm_of(BROKEN_OFF, raw_id))
            pcm[away] = bytes(32_000)
            self.assertEqual(self.rest.track(call, raw_id), bytes(pcm))
            [gap] = self.rest.manifest(call)[raw_id]["gaps"]
            self.assertEqual((gap["start"], gap["end"], gap["reason"]), (3.0, 4.0, "not_connected"))
        self.assertEqual(sum(one["counts"]["dtmf"] for one in call["subscriptions"]), 1)
        self.assertLessEqual({("reconnect", ""), ("dtmf", "")}, self.rest.ledger())

    def test_jitter_a_stall_disorder_and_duplicates_change_nothing(self) -> None:
        call = self.rest.over("disturbed")
        for voice in self.sent("disturbed").voices:
            track = self.rest.track(call, voice.voice.raw_id)
            # One voice may begin some milliseconds after the other: their first packets were not
            # delayed alike.
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

    def test_a_call_that_goes_on_can_be_exported_as_far_as_it_is_sealed(self) -> None:
        call, pcm = self.recording.seen_live.call, self.recording.seen_live.pcm
        self.assertEqual((call["state"], call["ended_at"]), ("live", None))
        self.assertGreater(len(pcm), 0)
        self.assertTrue(pcm_of(LIVE, CALLER).startswith(pcm))
        self.assertLess(
            self.recording.seen_live.after_seconds,
            2 * SEGMENT_SECONDS + LOOK_AHEAD_US / SECOND + BUSY_SECONDS,
        )

    def test_and_is_whole_when_it_has_ended(self) -> None:
        call = self.rest.over("live")
        self.assertEqual(call["state"], "ended")
        for raw_id in (CALLER, AGENT):
            self.assertEqual(self.rest.track(call, raw_id), pcm_of(LIVE, raw_id))

    def test_nothing_went_wrong_by_the_way(self) -> None:
        for name in SCRIPTS:
            self.rest.over(name)
        self.assertNotIn("Traceback", self.server.log)
