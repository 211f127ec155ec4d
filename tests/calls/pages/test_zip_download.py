"""Zip of selected calls: its contents, calls that are left out, and failures."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from io import BytesIO, StringIO
from typing import Any
from unittest import mock
from uuid import uuid4
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.db import OperationalError
from django.test import AsyncClient, Client, TestCase
from django.utils import timezone

from calls.audit.actors import Actor
from calls.export.errors import SegmentDamaged, StoreUnavailable
from calls.export.formats import FORMATS
from calls.export.plan import ExportRequest
from calls.models import AuditEntry, Call, LedgerEntry, Segment
from calls.pages import zip_archive
from calls.permissions import TO_EXPORT
from calls.storage import audio_store
from tests.calls.client import RestTests, read
from tests.calls.rows import (
    START,
    make_call,
    make_conversation,
    make_participant,
    make_segment,
    make_subscription,
    noise,
    url_of,
)
from tests.people import person

ADDRESS = "/calls.zip"
ANN = Actor("user", "ann")


def folder_of(call: Call) -> str:
    return f"20260302T093000Z-{call.pk}"


class ZipTests(RestTests):
    """The zip is made in export threads, which see committed data only."""

    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, _bob = make_conversation()
        self.exporter = person("exporter")

    async def post(self, *calls: Any, zone: str = "", **choice: str) -> Any:
        client = AsyncClient()
        client.cookies["zone"] = zone
        await client.aforce_login(self.exporter)
        ids = [str(call.pk) if isinstance(call, Call) else str(call) for call in calls]
        return await client.post(ADDRESS, {"call": ids, **choice})

    async def zip(self, *calls: Any, **choice: str) -> ZipFile:
        response = await self.post(*calls, **choice)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.needed, TO_EXPORT, "while it is sent")
        return ZipFile(BytesIO(await read(response)))

    async def lines(self, *calls: Any, **choice: str) -> list[dict[str, Any]]:
        contents = json.loads((await self.zip(*calls, **choice)).read("manifest.json"))
        found: list[dict[str, Any]] = contents["calls"]
        return found


class LiveCalls(ZipTests):
    def setUp(self) -> None:
        super().setUp()
        now = timezone.now()
        make_subscription(
            self.call, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        self.exporter = person("other", "view_call", "hear_recording", "export_recording")

    async def test_are_left_out_without_the_permission_to_listen(self) -> None:
        other, _alice, _bob = await sync_to_async(make_conversation)()
        live, ended = await self.lines(self.call, other)
        self.assertEqual(
            (live["audio"], live["left_out"], bool(live["manifest"])),
            ("", zip_archive.STILL_LIVE, True),
        )
        self.assertTrue(ended["audio"])

    def test_are_left_out_once_the_permission_is_withdrawn(self) -> None:
        """Its audio may come an hour after the request for the zip."""
        user = person("late", *("view_call", "hear_recording", "export_recording", "listen_live"))
        user.get_all_permissions()  # the request has asked
        user.user_permissions.remove(Permission.objects.get(codename="listen_live"))
        made = b"".join(zip_archive.pieces([self.call.pk], ExportRequest(), user, ANN))
        (line,) = json.loads(ZipFile(BytesIO(made)).read("manifest.json"))["calls"]
        self.assertEqual((line["audio"], line["left_out"]), ("", zip_archive.STILL_LIVE))
        self.assertFalse(LedgerEntry.objects.filter(kind="listening").exists())

    async def test_are_noted_in_the_ledger(self) -> None:
        listen = await Permission.objects.aget(codename="listen_live")
        await self.exporter.user_permissions.aadd(listen)
        (line,) = await self.lines(self.call)
        self.assertTrue(line["audio"])
        entry = await LedgerEntry.objects.aget(kind="listening")
        self.assertEqual(entry.detail, {"user": "other", "through": "recording"})


class Audit(ZipTests):
    async def test_has_an_entry_for_each_call(self) -> None:
        other, _alice, _bob = await sync_to_async(make_conversation)()
        await self.zip(self.call, other, uuid4(), format="opus")
        found = [one async for one in AuditEntry.objects.order_by("number")]
        self.assertEqual([one.call for one in found], [self.call.pk, other.pk])
        for one in found:
            self.assertEqual((one.action, one.actor_name), ("exported", "exporter"))
            facts = [one.detail[name] for name in ("from", "to", "format", "layout")]
            self.assertEqual(facts, [0, 3, "opus", "mix"])


class Contents(ZipTests):
    async def test_audio_and_manifests_are_those_of_rest(self) -> None:
        other, _alice, _bob = await sync_to_async(make_conversation)()
        for name, layout in (
            ("flac", "mix"),
            ("wav", "tracks"),
            ("mp3", "mix"),
            ("opus", "tracks"),
        ):
            zipped = await self.zip(self.call, other, format=name, layout=layout)
            self.assertIsNone(zipped.testzip())
            for call in (self.call, other):
                audio = f"{folder_of(call)}/call-20260302T093000Z-{call.pk.hex[:8]}-{layout}.{name}"
                rest = await self.body(url_of(call, "audio"), {"format": name, "layout": layout})
                from_rest = json.loads(await self.body(url_of(call, "manifest")))
                from_zip = json.loads(zipped.read(f"{folder_of(call)}/manifest.json"))
                with self.subTest(audio):
                    self.assertEqual(zipped.read(audio), rest)
                    self.assertEqual(
                        {**from_zip, "generated_at": ""}, {**from_rest, "generated_at": ""}
                    )

    async def test_the_default_is_the_mix_as_flac(self) -> None:
        zipped = await self.zip(self.call)
        contents = json.loads(zipped.read("manifest.json"))
        self.assertEqual((contents["format"], contents["layout"]), ("flac", "mix"))
        self.assertEqual({entry.compress_type for entry in zipped.infolist()}, {ZIP_STORED})

    async def test_the_contents_describe_each_file(self) -> None:
        zipped = await self.zip(self.call)
        (line,) = json.loads(zipped.read("manifest.json"))["calls"]
        audio = zipped.read(line["audio"])
        self.assertEqual(
            (line["audio_bytes"], line["audio_sha256"]), (len(audio), sha256(audio).hexdigest())
        )
        self.assertEqual((line["call"], line["left_out"]), (str(self.call.pk), ""))
        self.assertIn(line["manifest"], zipped.namelist())
        (row,) = csv.DictReader(StringIO(zipped.read("manifest.csv").decode()))
        self.assertEqual(row, {name: str(value) for name, value in line.items()})

    async def test_file_names_reveal_no_identity(self) -> None:
        names = " ".join((await self.zip(self.call, layout="tracks")).namelist())
        self.assertNotIn("5551234", names)
        self.assertNotIn(self.call.call_connection_id, names)

    async def test_names_have_the_time_of_the_viewer(self) -> None:
        zipped = await self.zip(self.call, zone="America/New_York")
        folder = f"20260302T043000-0500-{self.call.pk}"
        (line,) = json.loads(zipped.read("manifest.json"))["calls"]
        self.assertEqual(line["manifest"], f"{folder}/manifest.json")
        self.assertTrue(line["audio"].startswith(f"{folder}/call-20260302T043000-0500-"))

    async def test_a_call_selected_twice_is_there_once(self) -> None:
        self.assertEqual(len(await self.lines(self.call, str(self.call.pk).upper(), self.call)), 1)


class LeftOut(ZipTests):
    async def test_a_deleted_call_and_one_without_audio_have_a_reason(self) -> None:
        silent, gone = await sync_to_async(make_call)(), uuid4()
        zipped = await self.zip(silent, gone, self.call)
        without, missing, whole = json.loads(zipped.read("manifest.json"))["calls"]
        self.assertIn("This call has no sealed audio", without["left_out"])
        self.assertIn(without["manifest"], zipped.namelist())
        self.assertEqual((missing["call"], missing["left_out"]), (str(gone), zip_archive.NOT_FOUND))
        self.assertEqual((missing["audio"], missing["manifest"]), ("", ""))
        self.assertEqual(whole["left_out"], "")

    async def test_a_format_that_cannot_hold_a_call_is_a_reason(self) -> None:
        crowd = await sync_to_async(_crowd)(3)
        first, second = await self.lines(crowd, self.call, format="mp3", layout="tracks")
        self.assertIn("mp3 holds at most 2 channels", first["left_out"])
        self.assertEqual(second["left_out"], "")

    async def test_audio_missing_at_the_beginning_is_a_reason(self) -> None:
        first = (
            await Segment.objects.filter(participant=self.alice).order_by("start_sample").afirst()
        )
        assert first, "she has audio"
        await sync_to_async(audio_store().delete)(first.audio_name)
        other, _alice, _bob = await sync_to_async(make_conversation)()
        broken, whole = await self.lines(self.call, other)
        self.assertIn(f"segment {first.pk} is missing", broken["left_out"])
        self.assertEqual((broken["audio"], whole["left_out"]), ("", ""))

    async def test_known_damage_is_reported_before_the_file_begins(self) -> None:
        call, last = await sync_to_async(_long_call_damaged_at_its_end)()
        entry = {"call": call, "kind": "damage", "reason": "audio_missing", "started_at": START}
        await LedgerEntry.objects.acreate(
            **entry, detail={"segment": str(last.pk), "found_at": "2026-03-03"}
        )
        (line,) = await self.lines(call)
        self.assertIn(f"segment {last.pk} is missing", line["left_out"])

    async def test_repaired_damage_leaves_nothing_out(self) -> None:
        segment = await Segment.objects.filter(participant=self.alice).afirst()
        assert segment, "she has audio"
        entry = {
            "call": self.call,
            "kind": "damage",
            "reason": "audio_damaged",
            "started_at": START,
        }
        await LedgerEntry.objects.acreate(
            **entry, detail={"segment": str(segment.pk), "found_at": "2026-03-03"}
        )
        (line,) = await self.lines(self.call)
        self.assertEqual(line["left_out"], "")


class Failing(ZipTests):
    async def test_a_failure_within_a_file_leaves_an_unreadable_zip(self) -> None:
        call, _last = await sync_to_async(_long_call_damaged_at_its_end)()
        response, received = await self.post(self.call, call, format="wav"), b""
        with self.assertRaises(SegmentDamaged):
            async for piece in response.streaming_content:
                received += piece
        self.assertIn(folder_of(call).encode(), received)
        with self.assertRaises(BadZipFile):
            ZipFile(BytesIO(received))

    async def test_without_an_entry_in_the_audit_it_is_503(self) -> None:
        with mock.patch("calls.http.heard.record", side_effect=OperationalError):
            response = await self.post(self.call)
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))

    async def test_an_unreachable_store_is_503(self) -> None:
        with mock.patch("calls.export.export.read_segment", side_effect=StoreUnavailable):
            response = await self.post(self.call)
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))

    def test_a_disconnect_ends_the_work(self) -> None:
        closed = []

        def endless(_export: object) -> Any:
            try:
                while True:
                    yield b"audio"
            finally:
                closed.append(True)

        with mock.patch("calls.pages.zip_archive.Export.chunks", endless):
            made = zip_archive.pieces(
                [self.call.pk], ExportRequest(format=FORMATS["flac"]), self.exporter, ANN
            )
            for _ in range(5):
                next(made)
            made.close()
        self.assertEqual(closed, [True])


class Requesting(ZipTests):
    async def refused(self, *calls: Any, **choice: str) -> str:
        response = await self.post(*calls, **choice)
        self.assertEqual(response.status_code, 400)
        return str(response.content.decode())

    async def test_invalid_input_is_named(self) -> None:
        self.assertIn("Select at least one call", await self.refused())
        self.assertIn(
            "Select at most 100 calls", await self.refused(*(uuid4() for _ in range(101)))
        )
        self.assertIn(
            "* call\n  * The id of a call must be a UUID.", await self.refused(self.call, "<b>")
        )
        self.assertIn(
            "* format\n  * Must be one of flac, wav, mp3, opus.",
            await self.refused(self.call, format="aiff"),
        )
        self.assertIn(
            "* layout\n  * Must be one of mix, tracks.",
            await self.refused(self.call, layout="heap"),
        )


class Access(TestCase):
    def status(self, user: User, *, method: str = "post", **options: Any) -> int:
        client = Client(**options)
        client.force_login(user)
        return int(getattr(client, method)(ADDRESS).status_code)

    def test_it_requires_three_permissions(self) -> None:
        needed = ("view_call", "hear_recording", "export_recording")
        for lacking in needed:
            having = [name for name in needed if name != lacking]
            self.assertEqual(self.status(person(f"without {lacking}", *having)), 403)
        self.assertEqual(self.status(person("exporter", *needed)), 400)  # nothing is selected
        self.assertRedirects(Client().post(ADDRESS), f"/login/?next={ADDRESS}")

    def test_it_accepts_only_posts_with_a_csrf_token(self) -> None:
        exporter = person("exporter")
        self.assertEqual(self.status(exporter, method="get"), 405)
        self.assertEqual(self.status(exporter, enforce_csrf_checks=True), 403)


def _crowd(heads: int) -> Call:
    call = make_call()
    for number in range(heads):
        make_segment(make_participant(call, f"4:+4930{number}"), samples=noise(1.0, seed=number))
    return call


def _long_call_damaged_at_its_end() -> tuple[Call, Segment]:
    """Returns a call of a minute whose last second is missing in the store: an export has sent
    much before that.
    """
    call = make_call()
    alice = make_participant(call)
    segments = [
        make_segment(alice, at=second, samples=noise(1.0, seed=second)) for second in range(60)
    ]
    audio_store().delete(segments[-1].audio_name)
    return call, segments[-1]
