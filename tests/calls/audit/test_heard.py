"""Audit entries of audio: one before the first byte, and no audio without one."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from django.db import OperationalError

from calls.models import AuditEntry, Segment
from tests.calls.client import RestTests, read
from tests.calls.rows import make_conversation, url_of


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("number"))


class HeardTests(RestTests):
    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, self.bob = make_conversation()
        self.url = url_of(self.call, "audio")

    async def entries(self) -> list[AuditEntry]:
        return await sync_to_async(entries)()

    async def details(self) -> list[tuple[Any, Any]]:
        return [(one.detail["from"], one.detail["to"]) for one in await self.entries()]

    async def test_the_entry_says_who_heard_which_seconds_of_what(self) -> None:
        await self.body(self.url, {"start": "0.5", "end": "2", "format": "flac"})
        (entry,) = await self.entries()
        self.assertEqual((entry.action, entry.call), ("heard", self.call.pk))
        self.assertEqual(entry.actor_kind, "key")
        self.assertTrue(entry.actor_name)
        people = sorted([str(self.alice.pk), str(self.bob.pk)])
        detail = {**entry.detail, "participants": sorted(entry.detail["participants"])}
        self.assertEqual(
            detail,
            {"from": 0.5, "to": 2, "layout": "mix", "format": "flac", "participants": people},
        )

    async def test_a_range_of_a_wav_names_its_seconds(self) -> None:
        second = 32_000
        headers = {"Range": f"bytes={44 + second}-{44 + 2 * second - 1}"}
        await read(await self.ask(self.url, **headers))
        self.assertEqual(await self.details(), [(1, 2)])

    async def test_a_range_of_another_format_counts_as_all_of_it(self) -> None:
        for name in ("flac", "mp3"):
            await read(await self.ask(self.url, {"format": name}, Range="bytes=100-199"))
        self.assertEqual(await self.details(), [(0, 3), (0, 3)])

    async def test_ranges_in_what_was_asked_for_are_one_listening(self) -> None:
        await read(await self.ask(self.url, Range="bytes=32044-"))
        for start in (32_044, 40_000, 90_000):
            await read(await self.ask(self.url, Range=f"bytes={start}-"))
        self.assertEqual(await self.details(), [(1, 3)])
        await read(await self.ask(self.url, Range="bytes=20000-"))  # earlier: not in the entry
        self.assertEqual(len(await self.entries()), 2)
        await self.body(self.url, {"participant": str(self.alice.pk)})
        self.assertEqual(len(await self.entries()), 3)

    async def test_each_download_has_its_entry(self) -> None:
        for _ in range(2):
            await self.body(self.url, {"download": "1"})
        self.assertEqual([one.action for one in await self.entries()], ["downloaded"] * 2)

    async def test_a_segment_is_named(self) -> None:
        segment = await sync_to_async(Segment.objects.filter(participant=self.alice).first)()
        assert segment
        await self.body(f"/api/v1/segments/{segment.pk}/audio")
        (entry,) = await self.entries()
        self.assertEqual((entry.call, entry.detail["segment"]), (self.call.pk, str(segment.pk)))

    async def test_without_an_entry_no_audio(self) -> None:
        for query, headers in (({}, {}), ({}, {"Range": "bytes=0-9"}), (RENDERED, PART)):
            with patch("calls.http.heard.record", side_effect=OperationalError):
                response = await self.ask(self.url, query, **headers)
            self.assertEqual(response.status_code, 503)
            self.assertIn("audit cannot be written", (await read(response)).decode())

    async def test_responses_without_audio_have_no_entry(self) -> None:
        whole = await self.ask(self.url)
        await read(whole)
        await self.ask(self.url, **{"If-None-Match": whole["ETag"]})
        await self.ask(self.url, Range="bytes=9000000-")
        self.assertEqual(len(await self.entries()), 1)


RENDERED, PART = {"format": "flac"}, {"Range": "bytes=10-99"}
