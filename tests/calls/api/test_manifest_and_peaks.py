"""Manifest, single segments and waveforms over HTTP; damaged audio and unreachable stores."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import soundfile
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError, connections
from django.db.models import QuerySet
from django.test import override_settings

from calls.export import manifest
from calls.http.streaming import in_thread
from calls.models import Segment
from calls.storage import StoreUnreachable, read_object, write_object
from tests.calls.client import RestTests, read
from tests.calls.rows import (
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_segment,
    noise,
    url_of,
)


class ManifestTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, self.bob = make_conversation()
        make_gap(self.alice, at=2.0, seconds=1.0, reason="not_received")

    async def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(await self.body(url_of(self.call, "manifest")))
        return document

    async def test_every_track_has_its_segments_gaps_and_counts(self) -> None:
        document = await self.document()
        alice, bob = document["tracks"]
        self.assertEqual(
            [track["participant"]["id"] for track in (alice, bob)],
            [str(self.alice.id), str(self.bob.id)],
        )
        self.assertEqual(
            [(row["start"], row["end"]) for row in bob["segments"]], [(1.0, 2.0), (2.0, 3.0)]
        )
        self.assertEqual(bob["segments"][0]["start_sample"], 16_000)
        self.assertEqual(
            alice["counts"], {"segments": 2, "gaps": 1, "samples": 32_000, "size_bytes": 64_000}
        )
        (gap,) = alice["gaps"]
        self.assertEqual((gap["start"], gap["end"], gap["reason"]), (2.0, 3.0, "not_received"))
        self.assertEqual(gap["started_at"], "2026-03-02T09:30:02Z")

    async def test_the_call_is_the_same_as_in_rest(self) -> None:
        """But for what may change after its end, or be judged anew."""
        call = (await self.document())["call"]
        added = {"verdict": "unknown", "alarms": [], "retention": {"held_by": []}}
        self.assertEqual({**call, **added}, await self.json(url_of(self.call)))

    async def test_its_hashes_match_the_exported_segments(self) -> None:
        for track in (await self.document())["tracks"]:
            for row in track["segments"]:
                samples, _ = soundfile.read(
                    BytesIO(await self.body(f"/api/v1/segments/{row['id']}/audio")), dtype="int16"
                )
                self.assertEqual(sha256(samples.tobytes()).hexdigest(), row["sha256"])

    async def test_reading_rows_in_pages_changes_nothing(self) -> None:
        whole = await self.document()
        with patch.object(manifest, "PAGE", 1):
            paged = await self.document()
        self.assertEqual(paged["tracks"], whole["tracks"])

    async def test_a_call_without_audio_has_a_manifest_without_tracks(self) -> None:
        empty = await sync_to_async(make_call)()
        document = json.loads(await self.body(url_of(empty, "manifest")))
        self.assertEqual(document["tracks"], [])


class SegmentAudioTests(RestTests):
    async def test_a_segment_is_a_wav_with_ranges_and_conditional_requests(self) -> None:
        call = await sync_to_async(make_conversation)()
        segment = await Segment.objects.filter(participant=call[1]).afirst()
        assert segment
        url = f"/api/v1/segments/{segment.id}/audio"
        whole = await self.ask(url)
        content = await read(whole)
        self.assertEqual(
            soundfile.read(BytesIO(content), dtype="int16")[0].tolist(), noise(1.0, seed=0).tolist()
        )
        self.assertEqual(await self.body(url, Range="bytes=40-49"), content[40:50])
        self.assertEqual((await self.ask(url, If_None_Match=whole["ETag"])).status_code, 304)
        self.assertIn(
            f"segment-20260302T093000Z-{call[0].id.hex[:8]}", whole["Content-Disposition"]
        )
        self.assertEqual((await self.ask(url, {"format": "wav"})).status_code, 400)


class PeaksTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call = make_call()
        self.alice, bob = make_participant(self.call), make_participant(self.call, "8:orgid:bob")
        make_segment(self.alice, at=0.0, samples=noise(1.0) // 2)
        make_segment(bob, at=3.0, samples=noise(1.0))
        self.url = url_of(self.call, "peaks")

    async def test_a_waveform_covers_the_whole_call(self) -> None:
        answer = await self.json(self.url, {"points": 4})
        self.assertEqual(
            (answer["start"], answer["end"], answer["points"], answer["participant"]),
            (0.0, 4.0, 4, None),
        )
        (low, high), *silence, loud = answer["peaks"]
        # 0.3, rounded outwards in steps of 1/128.
        self.assertTrue(-0.3125 <= low < -0.29 and 0.29 < high <= 0.3125, (low, high))
        self.assertEqual(silence, [[0.0, 0.0]] * 2)
        self.assertLess(loud[0], -0.6)

    async def test_one_participant_has_the_axis_of_the_call(self) -> None:
        answer = await self.json(
            self.url, {"points": 4, "participant": str(self.alice.id), "start": 1}
        )
        self.assertEqual((answer["start"], answer["end"]), (1.0, 4.0))
        self.assertEqual(answer["peaks"], [[0.0, 0.0]] * 4)

    async def test_an_unchanged_waveform_is_not_sent_again(self) -> None:
        first = await self.ask(self.url)
        self.assertEqual(len(first.json()["peaks"]), 1000)
        self.assertEqual((await self.ask(self.url, If_None_Match=first["ETag"])).status_code, 304)
        self.assertEqual(
            (await self.ask(self.url, {"points": 999}, If_None_Match=first["ETag"])).status_code,
            200,
        )

    async def test_a_wrong_number_of_points_is_named(self) -> None:
        for points in ("0", "10001", "many", "-1", "1.5"):
            response = await self.ask(self.url, {"points": points})
            self.assertEqual((response.status_code, list(response.json())), (400, ["points"]))


class DocumentedExampleTests(RestTests):
    async def test_a_track_is_compared_with_the_manifest(self) -> None:
        """Runs the program in docs/rest.md without changes."""
        call, *_ = await sync_to_async(make_conversation)()
        page = (Path(__file__).parents[3] / "docs" / "rest.md").read_text()
        program = page.partition("```python\n")[2].partition("```")[0]
        manifest_ = await self.body(url_of(call, "manifest"))
        owner = json.loads(manifest_)["tracks"][0]["participant"]["id"]
        flac = await self.body(url_of(call, "audio"), {"format": "flac", "participant": owner})
        with TemporaryDirectory() as folder:
            (Path(folder) / "manifest.json").write_bytes(manifest_)
            (Path(folder) / "track.flac").write_bytes(flac)
            run = [sys.executable, "-W", "ignore", "-c", program]
            passed = await asyncio.to_thread(subprocess.run, run, cwd=folder, check=False)
            self.assertEqual(passed.returncode, 0)
            (Path(folder) / "track.flac").write_bytes(
                await self.body(url_of(call, "audio"), {"format": "flac"})
            )
            quiet = subprocess.DEVNULL
            failed = await asyncio.to_thread(
                subprocess.run, run, cwd=folder, check=False, stderr=quiet
            )
            self.assertNotEqual(failed.returncode, 0)


class DatabaseStoreTests(RestTests):
    async def test_threads_that_export_audio_from_the_database_keep_no_connection(self) -> None:
        stores = {**settings.STORAGES, "audio": {"BACKEND": "calls.storage.local.DatabaseStorage"}}
        with override_settings(STORAGES=stores):
            call, *_ = await sync_to_async(make_conversation)()
            for name in ("wav", "flac"):
                content = await self.body(
                    url_of(call, "audio"), {"format": name, "layout": "tracks"}
                )
                samples, _ = soundfile.read(BytesIO(content), dtype="int16")
                self.assertEqual(samples[:16_000, 0].tolist(), noise(1.0, seed=0).tolist())
        kept = await in_thread(
            lambda _stop: [each.connection for each in connections.all(initialized_only=True)]
        )
        self.assertEqual([each for each in kept if each is not None], [])


class DamageTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, _ = make_conversation()
        self.first, self.second = Segment.objects.filter(participant=self.alice).on_axis()

    async def damage(self, segment: Segment, other: Segment) -> None:
        """Replaces the audio of `segment` by that of another segment."""
        await sync_to_async(
            lambda: write_object(segment.audio_name, read_object(other.audio_name))
        )()

    async def test_audio_with_another_hash_is_never_sent(self) -> None:
        await self.damage(self.first, self.second)
        for url in (
            url_of(self.call, "audio"),
            url_of(self.call, "peaks"),
            f"/api/v1/segments/{self.first.id}/audio",
        ):
            with self.assertLogs("calls.export.segments", "ERROR") as logs:
                response = await self.ask(url)
            self.assertEqual(response.status_code, 500)
            self.assertIn(str(self.first.id), response.json()["detail"])
            self.assertIn(str(self.first.id), logs.output[0])

    async def test_later_damage_aborts_the_response(self) -> None:
        call = await sync_to_async(make_call)()
        alice = await sync_to_async(make_participant)(call)
        segments = [
            await sync_to_async(make_segment)(alice, at=20.0 * n, samples=noise(1.0, n))
            for n in range(4)
        ]
        await self.damage(segments[3], segments[0])
        # A thread reads ahead, perhaps before the response is read.
        with self.assertLogs("calls.export.segments", "ERROR"):
            response = await self.ask(url_of(call, "audio"), {"format": "flac"})
            self.assertEqual(response.status_code, 200)
            with self.assertRaisesRegex(Exception, str(segments[3].id)):
                await read(response)

    async def test_a_missing_object_is_damage(self) -> None:
        await Segment.objects.filter(pk=self.first.pk).aupdate(audio_name="nowhere.flac")
        with self.assertLogs("calls.export.segments", "ERROR"):
            self.assertEqual((await self.ask(url_of(self.call, "audio"))).status_code, 500)

    async def test_an_unreachable_store_is_503(self) -> None:
        for error in (
            ConnectionRefusedError(),
            StoreUnreachable("S3 does not answer"),
            OperationalError(),
        ):
            with (
                patch("calls.export.segments.read_object", side_effect=error),
                self.assertLogs("calls.export.segments"),
            ):
                response = await self.ask(url_of(self.call, "audio"))
            self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))

    async def test_an_unreachable_database_is_503(self) -> None:
        with (
            patch.object(QuerySet, "_fetch_all", side_effect=OperationalError),
            self.assertLogs("calls.http.errors"),
        ):
            response = await self.ask("/api/v1/calls/")
        self.assertEqual(response.status_code, 503)
        self.assertIn("database", response.json()["detail"])
