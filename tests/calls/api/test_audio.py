"""The recording over HTTP: formats, layouts, byte ranges, conditional requests, errors."""

from __future__ import annotations

from io import BytesIO
from uuid import uuid4

import numpy as np
import soundfile
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from calls.audio.codec import Samples
from calls.models import Call, Participant
from calls.permissions import TO_EXPORT, TO_HEAR
from tests.calls.client import RestTests, read
from tests.calls.rows import (
    make_call,
    make_conversation,
    make_participant,
    make_segment,
    noise,
    tone,
    url_of,
)

ALICE = [noise(1.0, seed=0), noise(1.0, seed=1)]
BOB = [noise(1.0, seed=10), noise(1.0, seed=11)]
SILENCE = np.zeros(16_000, np.int16)


def decoded(content: bytes) -> Samples:
    """Shape (samples, channels)."""
    samples: Samples = soundfile.read(BytesIO(content), dtype="int16", always_2d=True)[0]
    return samples


class AudioTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, self.bob = make_conversation()
        self.url = url_of(self.call, "audio")
        self.tracks = np.stack(
            [np.concatenate([*ALICE, SILENCE]), np.concatenate([SILENCE, *BOB])], axis=1
        )

    async def test_tracks_are_bit_exact_and_aligned(self) -> None:
        for name in ("wav", "flac"):
            content = await self.body(self.url, {"format": name, "layout": "tracks"})
            np.testing.assert_array_equal(decoded(content), self.tracks)

    async def test_one_participant_is_one_track_as_long_as_the_call(self) -> None:
        for index, participant in enumerate((self.alice, self.bob)):
            content = await self.body(self.url, {"participant": str(participant.id)})
            np.testing.assert_array_equal(decoded(content)[:, 0], self.tracks[:, index])

    async def test_the_default_is_the_mix_as_wav(self) -> None:
        response = await self.ask(self.url)
        mix = np.clip(self.tracks.sum(axis=1, dtype=np.int32), -32_768, 32_767)
        np.testing.assert_array_equal(decoded(await read(response))[:, 0], mix)
        self.assertEqual(response["Content-Type"], "audio/wav")
        self.assertEqual(response["Content-Length"], str(44 + 2 * 48_000))
        name = f"call-20260302T093000Z-{self.call.id.hex[:8]}-mix.wav"
        self.assertEqual(response["Content-Disposition"], f'inline; filename="{name}"')

    async def test_it_is_checked_for_its_permissions_while_it_is_sent(self) -> None:
        for query, headers in (
            ({}, {}),
            ({}, {"Range": "bytes=10-99"}),
            ({"format": "flac"}, {"Range": "bytes=10-99"}),  # rendered first
        ):
            for download, needed in (("0", TO_HEAR), ("1", TO_EXPORT)):
                with self.subTest(query=query, headers=headers, download=download):
                    response = await self.ask(self.url, {**query, "download": download}, **headers)
                    self.assertEqual(response.needed, needed)
                    response.close()

    async def test_the_file_name_has_the_time_of_the_viewer(self) -> None:
        segment = await self.alice.segments.afirst()
        assert segment, "Alice has spoken"
        for url, start in (
            (self.url, "call-20260302T150000+0530-"),
            (f"/api/v1/segments/{segment.pk}/audio", "segment-20260302T150000+0530-"),
        ):
            client = AsyncClient()
            client.cookies["zone"] = "Asia/Kolkata"
            response = await client.head(url, headers={"Authorization": f"Token {self.token}"})
            self.assertIn(f'filename="{start}', response["Content-Disposition"])

    async def test_every_format_and_layout_has_the_length_of_the_call(self) -> None:
        for name in ("wav", "flac", "mp3", "opus"):
            for query in (
                {"layout": "mix"},
                {"layout": "tracks"},
                {"participant": str(self.bob.id)},
            ):
                with self.subTest(name, **query):
                    content = await self.body(self.url, {"format": name, **query})
                    self.assertEqual(len(decoded(content)), 48_000)

    async def test_a_range_of_seconds_is_exact_and_in_the_file_name(self) -> None:
        response = await self.ask(
            self.url, {"layout": "tracks", "start": "0.7", "end": "1.30003", "download": "1"}
        )
        np.testing.assert_array_equal(decoded(await read(response)), self.tracks[11_200:20_800])
        self.assertIn("attachment", response["Content-Disposition"])
        self.assertIn("-tracks-0.700s-1.300s.wav", response["Content-Disposition"])

    async def test_no_cache_keeps_audio(self) -> None:
        for query in ({"format": "wav"}, {"format": "flac"}):
            for headers in ({}, {"Range": "bytes=0-9"}):
                response = await self.ask(self.url, query, **headers)
                await read(response)
                self.assertEqual(response["Cache-Control"], "no-store")

    async def test_head_has_the_same_headers_and_no_audio(self) -> None:
        names = ("Content-Length", "Content-Type", "ETag", "Content-Disposition", "Accept-Ranges")
        for query in ({}, {"format": "mp3"}, {"format": "opus"}):
            head = await self.ask(self.url, query, method="HEAD")
            whole = await self.ask(self.url, query)
            self.assertEqual(head.content, b"")
            for name in names:
                self.assertEqual(head[name], whole[name], query)
            self.assertEqual(len(await read(whole)), int(head["Content-Length"]))
        self.assertNotIn(
            "Content-Length", await self.ask(self.url, {"format": "flac"}, method="HEAD")
        )
        self.assertEqual(
            (await self.ask(self.url, method="HEAD", Range="bytes=0-9")).status_code, 200
        )

    async def test_two_rates_are_exported_at_the_higher_one(self) -> None:
        low = await _participant(self.call, "8:orgid:1")
        await _segment(low, tone(1.0, rate=24_000), at=1.5, rate=24_000)
        samples, rate = soundfile.read(
            BytesIO(await self.body(self.url, {"layout": "tracks"})), dtype="int16"
        )
        self.assertEqual((rate, samples.shape), (24_000, (72_000, 3)))
        np.testing.assert_array_equal(samples[36_000:60_000, 2], tone(1.0, rate=24_000))
        self.assertFalse(samples[:36_000, 2].any())

    async def test_a_live_call_is_exported_up_to_its_last_sealed_segment(self) -> None:
        before = await self.ask(self.url)
        await _segment(self.bob, noise(1.0), at=3.0)
        after = await self.ask(self.url)
        self.assertNotEqual(before["ETag"], after["ETag"])
        self.assertEqual(len(decoded(await read(after))), 64_000)


class RangeTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, *_ = make_conversation()
        self.url = url_of(self.call, "audio")

    async def test_byte_ranges_of_every_format_fit_together(self) -> None:
        for name in ("wav", "flac", "mp3", "opus"):
            whole = await self.body(self.url, {"format": name})
            parts = []
            for spec, size in (("0-99", 100), ("100-5000", 4_901), ("5001-", len(whole) - 5_001)):
                response = await self.ask(self.url, {"format": name}, Range=f"bytes={spec}")
                self.assertEqual(response.status_code, 206)
                self.assertEqual(response["Content-Length"], str(size))
                first = int(spec.split("-")[0])
                self.assertEqual(
                    response["Content-Range"], f"bytes {first}-{first + size - 1}/{len(whole)}"
                )
                parts.append(await read(response))
            with self.subTest(name):
                self.assertEqual(b"".join(parts), whole)

    async def test_the_last_bytes_alone(self) -> None:
        whole = await self.body(self.url)
        self.assertEqual(await self.body(self.url, Range="bytes=-7"), whole[-7:])

    async def test_a_range_beyond_the_end_is_416_with_the_size(self) -> None:
        for name in ("wav", "flac", "mp3", "opus"):
            size = len(await self.body(self.url, {"format": name}))
            response = await self.ask(self.url, {"format": name}, Range=f"bytes={size}-")
            self.assertEqual(response.status_code, 416)
            self.assertEqual(response["Content-Range"], f"bytes */{size}")
            self.assertIn("Range", response.json()["detail"])

    async def test_several_ranges_or_malformed_ones_return_the_whole(self) -> None:
        for header in ("bytes=0-1,5-6", "bytes=9-1", "lines=1-2"):
            response = await self.ask(self.url, Range=header)
            self.assertEqual(response.status_code, 200)
            self.assertEqual(len(await read(response)), 44 + 2 * 48_000)

    async def test_an_open_range_of_unknown_size_is_streamed_while_encoded(self) -> None:
        response = await self.ask(self.url, {"format": "flac"}, Range="bytes=0-")
        self.assertEqual(response.status_code, 200)
        self.assertEqual((await self.ask(self.url, Range="bytes=0-")).status_code, 206)


class ConditionTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, *_ = make_conversation()
        self.url = url_of(self.call, "audio")

    async def etag(self) -> str:
        return str((await self.ask(self.url, method="HEAD"))["ETag"])

    async def test_an_unchanged_file_is_not_sent_again(self) -> None:
        etag = await self.etag()
        for condition in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            response = await self.ask(self.url, If_None_Match=condition)
            self.assertEqual((response.status_code, response.content), (304, b""))
            self.assertEqual(response["ETag"], etag)
        self.assertEqual((await self.ask(self.url, If_None_Match='"other"')).status_code, 200)

    async def test_if_match_requires_the_current_etag(self) -> None:
        self.assertEqual((await self.ask(self.url, If_Match='"other"')).status_code, 412)
        self.assertEqual((await self.ask(self.url, If_Match=await self.etag())).status_code, 200)

    async def test_a_range_of_another_version_is_never_sent(self) -> None:
        etag = await self.etag()
        same = await self.ask(self.url, Range="bytes=0-9", If_Range=etag)
        other = await self.ask(self.url, Range="bytes=0-9", If_Range='"other"')
        dated = await self.ask(
            self.url, Range="bytes=0-9", If_Range="Mon, 23 Nov 2026 09:30:00 GMT"
        )
        self.assertEqual([same.status_code, other.status_code, dated.status_code], [206, 200, 200])


class ErrorTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, _ = make_conversation()
        self.url = url_of(self.call, "audio")

    async def test_a_wrong_value_is_named(self) -> None:
        wrong = {
            "format": ["ogg", "", "WAV"],
            "layout": ["stereo"],
            "participant": ["4:+15551234567", "1"],
            "start": ["-1", "abc", "nan", "inf", "1e400", "3", ""],
            "end": ["0", "-0.1", "NaN"],
            "download": ["perhaps"],
            "strat": ["1"],
        }
        for name, values in wrong.items():
            for value in values:
                with self.subTest(name, value=value):
                    response = await self.ask(self.url, {name: value})
                    self.assertEqual((response.status_code, list(response.json())), (400, [name]))

    async def test_a_participant_of_another_call_is_404_and_names_the_parameter(self) -> None:
        response = await self.ask(self.url, {"participant": str(uuid4())})
        self.assertEqual((response.status_code, list(response.json())), (404, ["participant"]))

    async def test_a_call_without_audio_is_404(self) -> None:
        response = await self.ask(url_of(await _call(), "audio"))
        self.assertEqual(response.status_code, 404)
        self.assertIn("sealed", response.json()["detail"])

    async def test_unknown_paths_are_404_as_json(self) -> None:
        for url in (
            url_of(uuid4(), "audio"),
            "/api/v1/calls/abc/audio",
            "/api/v1/nothing/",
            "/api/v1/calls/%0A/audio",
        ):
            response = await self.ask(url)
            self.assertEqual(response.status_code, 404)
            self.assertEqual(list(response.json()), ["detail"])

    async def test_too_many_channels_are_an_error_that_names_the_format(self) -> None:
        for number in range(9):
            await _segment(await _participant(self.call, f"8:orgid:{number}"), tone(0.01))
        response = await self.ask(self.url, {"format": "flac", "layout": "tracks"})
        self.assertEqual((response.status_code, list(response.json())), (400, ["format"]))
        self.assertEqual((await self.ask(self.url, {"layout": "tracks"})).status_code, 200)


async def _call() -> Call:
    return await sync_to_async(make_call)()


async def _participant(call: Call, raw_id: str) -> Participant:
    return await sync_to_async(make_participant)(call, raw_id)


async def _segment(
    participant: Participant, samples: Samples, at: float = 0.0, rate: int = 16_000
) -> None:
    await sync_to_async(make_segment)(participant, at=at, samples=samples, rate=rate)
