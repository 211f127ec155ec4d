"""A server that stops in mid-call and restarts, on Daphne and uvicorn: losses and their records."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from django.test import SimpleTestCase, tag

from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.play import play
from streams.simulator.report import Report
from tests.end_to_end.installation import (
    AGENT,
    CALLER,
    SEGMENT_SECONDS,
    Rest,
    database_with_account,
    noises,
    pcm_of,
    running,
)
from tests.waiting import until

SCRIPT = noises(60.0, seed=7)
SPOKEN_SECONDS = 4.5
"""Long enough for sealed segments, a waiting journal, and an open one."""

ALLOWED_PACKETS = 10  # 200 ms of one voice may have been in buffers


@dataclass
class Outcome:
    """Packets sent and counted before the stop, and the results of REST after the restart."""

    sent: dict[str, int]  # packets by raw id
    counted: int  # packets in journals by the server's metrics, just before the stop
    seconds: float  # duration of the stop
    sealed_before: float  # seconds of audio in REST before the stop
    call: dict[str, Any]
    tracks: dict[str, bytes]
    manifest: dict[str, Any]
    ledger: set[tuple[str, str]]
    log: str


class StopTestCase(SimpleTestCase):
    outcomes: ClassVar[dict[tuple[str, str], Outcome]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        database_with_account()  # before four threads need it at once
        asyncio.run(cls.stop_all())

    @classmethod
    async def stop_all(cls) -> None:
        cases = [(kind, how) for kind in ("daphne", "uvicorn") for how in ("kill", "terminate")]
        outcomes = await asyncio.gather(*(cls.stop(kind, how) for kind, how in cases))
        cls.outcomes = dict(zip(cases, outcomes, strict=True))

    @staticmethod
    async def sealed_seconds(rest: Rest) -> float:
        """Returns the duration of the live call in REST; 0 until it is long enough to stop."""
        seconds: float = (await asyncio.to_thread(rest.call, "call"))["duration_seconds"]
        return seconds if seconds > SEGMENT_SECONDS / 2 else 0.0

    @classmethod
    async def stop(cls, kind: str, how: str) -> Outcome:
        context = running(kind)
        server, rest = await asyncio.to_thread(context.__enter__)
        try:
            report = Report()
            plan = Plan(server.media_url, (PlannedCall(SCRIPT, connection_id="call"),))
            playing = asyncio.create_task(play(plan, report=report))
            packets = round(SPOKEN_SECONDS * 50) * 2
            await until(lambda: report.packets >= packets)
            sealed = await until(lambda: cls.sealed_seconds(rest))
            counted = await asyncio.to_thread(rest.packets)
            voices = report.calls[0].voices
            sent = {voice.voice.raw_id: voice.packets for voice in voices}
            started = time.monotonic()
            await asyncio.to_thread(getattr(server, how))
            seconds = time.monotonic() - started
            await playing
            await asyncio.to_thread(server.start)
            call = await asyncio.to_thread(rest.over, "call")
            tracks = {
                raw_id: await asyncio.to_thread(rest.track, call, raw_id)
                for raw_id in (CALLER, AGENT)
            }
            manifest = await asyncio.to_thread(rest.manifest, call)
            return Outcome(
                sent, counted, seconds, sealed, call, tracks, manifest, rest.ledger(), server.log
            )
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)


@tag("once")
class StopInMidCallTests(StopTestCase):
    def test_audio_was_sealed_before_the_stop(self) -> None:
        for which, outcome in self.outcomes.items():
            with self.subTest(which):
                self.assertGreater(outcome.sealed_before, SEGMENT_SECONDS / 2)

    def test_no_packet_that_was_read_is_lost(self) -> None:
        for which, outcome in self.outcomes.items():
            with self.subTest(which):
                recovered = sum(len(track) for track in outcome.tracks.values()) // 640
                self.assertGreaterEqual(recovered, outcome.counted)

    def test_at_most_200_ms_in_buffers_are_lost(self) -> None:
        for which, outcome in self.outcomes.items():
            for raw_id, track in outcome.tracks.items():
                with self.subTest(which, voice=raw_id):
                    self.assertGreaterEqual(
                        len(track) // 640, outcome.sent[raw_id] - ALLOWED_PACKETS
                    )

    def test_the_recovered_audio_is_exact_to_the_packet(self) -> None:
        for which, outcome in self.outcomes.items():
            longest = max(map(len, outcome.tracks.values()))
            for raw_id, track in outcome.tracks.items():
                with self.subTest(which, voice=raw_id):
                    samples = outcome.manifest[raw_id]["counts"]["samples"]
                    self.assertEqual(samples % 320, 0)
                    self.assertEqual(track[: 2 * samples], pcm_of(SCRIPT, raw_id)[: 2 * samples])
                    self.assertLessEqual(
                        longest - 2 * samples, 640, "one voice may have one packet more"
                    )

    def test_the_manifest_proves_it(self) -> None:
        for which, outcome in self.outcomes.items():
            for raw_id, track in outcome.manifest.items():
                with self.subTest(which, voice=raw_id):
                    pcm, covered = pcm_of(SCRIPT, raw_id), 0
                    for segment in track["segments"]:
                        self.assertEqual(segment["start_sample"], covered)
                        covered += segment["sample_count"]
                        piece = pcm[2 * segment["start_sample"] : 2 * covered]
                        self.assertEqual(segment["sha256"], sha256(piece).hexdigest())
                    self.assertEqual(track["gaps"], [])

    def test_the_call_is_interrupted(self) -> None:
        for which, outcome in self.outcomes.items():
            with self.subTest(which):
                self.assertEqual(outcome.call["state"], "interrupted")
                self.assertIsNotNone(outcome.call["ended_at"])

    def test_a_kill_is_recorded_in_the_ledger(self) -> None:
        for kind in ("daphne", "uvicorn"):
            with self.subTest(kind):
                outcome = self.outcomes[kind, "kill"]
                self.assertIn(("recovered", "recorder_stopped"), outcome.ledger)
                self.assertIsNone(outcome.call["subscriptions"][0]["close_code"])

    def test_a_graceful_stop_closes_its_journals_and_needs_no_recovery(self) -> None:
        for kind, code in (("daphne", None), ("uvicorn", 1012)):
            with self.subTest(kind):
                outcome = self.outcomes[kind, "terminate"]
                self.assertNotIn("recovered", {entry for entry, _reason in outcome.ledger})
                self.assertEqual(outcome.call["subscriptions"][0]["close_code"], code)

    def test_a_graceful_stop_takes_less_than_ten_seconds(self) -> None:
        for kind in ("daphne", "uvicorn"):
            with self.subTest(kind):
                self.assertLess(self.outcomes[kind, "terminate"].seconds, 10.0)

    def test_stop_and_restart_log_no_traceback(self) -> None:
        for which, outcome in self.outcomes.items():
            with self.subTest(which):
                self.assertNotIn("Traceback", outcome.log)
