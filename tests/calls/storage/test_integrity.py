"""What a check finds, what it enters in the ledger, what it repairs, and where it goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from uuid import uuid4

from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from calls.audio.codec import HEADER_BYTES
from calls.export import manifest
from calls.models import Call, DiscardedAudio, LedgerEntry, Segment
from calls.serializers import CallSerializer
from calls.storage import StoreUnreachable, audio_store, integrity, read_object, write_object
from calls.storage.integrity import Fault
from tests.calls.rows import START, make_call, make_conversation, make_segment

HOURS_AGO = 7200


class Recordings(TransactionTestCase):
    """Two people with two segments each, in a store of their own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        entry = {
            "BACKEND": "calls.storage.local.DurableFileStorage",
            "OPTIONS": {"location": str(self.folder / "audio")},
        }
        places = {"DATA_DIR": self.folder, "SPOOL_DIR": self.folder / "spool"}
        self.enterContext(
            override_settings(STORAGES={**settings.STORAGES, "audio": entry}, **places)
        )
        self.call, self.alice, self.bob = make_conversation()
        self.segments = list(Segment.objects.order_by("pk"))

    def check(self, *options: str) -> tuple[int, list[dict[str, Any]], dict[str, int]]:
        """Exit code, findings, sums of `check_recordings --json`."""
        out, code = StringIO(), 0
        try:
            call_command("check_recordings", "--json", *options, stdout=out, stderr=StringIO())
        except CommandError as error:
            code = error.returncode
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        sums = lines.pop() if lines and lines[-1]["finding"] is None else {}
        return code, lines, sums

    def path_of(self, name: str) -> Path:
        return self.folder / "audio" / name

    def orphan(self, *, age_seconds: float = HOURS_AGO, name: str = "") -> str:
        """An object without a row, as a seal leaves it that could not write its row."""
        name = (
            name or f"{self.call.pk}/{self.alice.pk}/{uuid4().int % 10**12}-{uuid4().hex[:16]}.flac"
        )
        write_object(name, b"audio")
        self.age(self.path_of(name), age_seconds)
        return name

    def age(self, path: Path, seconds: float) -> None:
        then = timezone.now().timestamp() - seconds
        os.utime(path, (then, then))

    def damage(self, segment: Segment) -> None:
        content = bytearray(read_object(segment.audio_name))
        content[len(content) // 2] ^= 1
        write_object(segment.audio_name, bytes(content))


class WhatIsFound(Recordings):
    def test_nothing_where_all_is_well(self) -> None:
        code, findings, sums = self.check()
        self.assertEqual((code, findings), (0, []))
        self.assertEqual((sums["segments"], sums["objects"], sums["wrong"]), (4, 4, 0))

    def test_audio_that_is_missing(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        code, findings, sums = self.check()
        self.assertEqual((code, sums["audio_missing"], sums["wrong"]), (1, 1, 1))
        self.assertEqual(
            (findings[0]["finding"], findings[0]["segment"]),
            ("audio_missing", str(self.segments[0].pk)),
        )

    def test_one_flipped_bit(self) -> None:
        self.damage(self.segments[2])
        code, findings, _ = self.check()
        self.assertEqual((code, len(findings)), (1, 1))
        self.assertEqual(
            (findings[0]["finding"], findings[0]["segment"]),
            ("audio_damaged", str(self.segments[2].pk)),
        )

    def test_half_an_object_and_the_audio_of_another_segment(self) -> None:
        write_object(self.segments[0].audio_name, read_object(self.segments[0].audio_name)[:5000])
        write_object(self.segments[1].audio_name, read_object(self.segments[2].audio_name))
        code, _, sums = self.check()
        self.assertEqual((code, sums["audio_damaged"]), (1, 2))

    def test_an_object_without_a_row(self) -> None:
        name = self.orphan()
        code, findings, _ = self.check()
        self.assertEqual(
            (code, [(found["finding"], found["object"]) for found in findings]),
            (1, [("orphan", name)]),
        )

    def test_nothing_in_an_object_that_is_young(self) -> None:
        self.orphan(age_seconds=integrity.YOUNG.total_seconds() - 60)
        self.assertEqual(self.check()[0], 0)

    def test_an_object_that_is_not_ours(self) -> None:
        self.orphan(name="holiday.jpg")
        self.assertEqual(self.check()[1][0]["finding"], "foreign")

    def test_nothing_in_what_waits_to_be_swept(self) -> None:
        DiscardedAudio.objects.create(name=self.orphan(), segment_id=uuid4())
        self.assertEqual(self.check()[0], 0)

    def test_a_row_that_names_its_object_otherwise_is_found_by_that_name(self) -> None:
        name = self.orphan(name="otherwise.flac")
        make_segment(self.alice, at=50, name=name)
        self.assertEqual(self.check()[2]["foreign"], 0)

    def test_nothing_of_a_call_that_is_deleted_meanwhile(self) -> None:
        def deletes_first(row: Any, *, quick: bool) -> integrity.Finding | None:
            Segment.objects.filter(pk=row.pk).delete()
            audio_store().delete(row.audio_name)
            return examined(row, quick=quick)

        examined = integrity._examined
        with (
            mock.patch.object(integrity, "_examined", deletes_first),
            mock.patch.object(integrity, "THREADS", 1),
        ):
            self.assertEqual(self.check()[:2], (0, []))


class ALook(Recordings):
    """--quick: sizes and headers."""

    def test_reads_no_whole_object(self) -> None:
        with mock.patch.object(integrity, "read_object", side_effect=AssertionError("read")):
            self.assertEqual(self.check("--quick")[0], 0)

    def test_finds_what_is_missing_or_not_whole(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        write_object(self.segments[1].audio_name, read_object(self.segments[1].audio_name)[:-1])
        self.assertEqual(
            {found["finding"] for found in self.check("--quick")[1]},
            {"audio_missing", "audio_damaged"},
        )

    def test_finds_the_header_of_another_length(self) -> None:
        segment = self.segments[0]
        head = bytearray(read_object(segment.audio_name))
        head[HEADER_BYTES - 1] ^= 1
        write_object(segment.audio_name, bytes(head))
        self.assertIn("announces", self.check("--quick")[1][0]["why"])


class TheLedger(Recordings):
    def entries(self) -> list[tuple[str, str, Any]]:
        found = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.DAMAGE)
        return [(entry.reason, entry.detail["segment"], entry.participant_id) for entry in found]

    def test_has_every_finding_once(self) -> None:
        segment = self.segments[0]
        audio_store().delete(segment.audio_name)
        for _ in range(2):
            self.check()
        self.assertEqual(
            self.entries(), [("audio_missing", str(segment.pk), segment.participant_id)]
        )

    def test_says_where_in_the_call_it_is(self) -> None:
        self.damage(self.segments[0])
        self.check()
        entry = LedgerEntry.objects.get()
        where = (self.segments[0].started_at, self.segments[0].ended_at, self.call.pk)
        self.assertEqual((entry.started_at, entry.ended_at, entry.call_id), where)

    def test_stands_in_the_manifest(self) -> None:
        self.damage(self.segments[0])
        self.check()
        text = b"".join(manifest.chunks(CallSerializer(self.for_rest()).data, None, timezone.now()))
        damage = [entry for track in json.loads(text)["tracks"] for entry in track["damage"]]
        self.assertEqual(
            [(entry["segment"], entry["reason"]) for entry in damage],
            [(str(self.segments[0].pk), "audio_damaged")],
        )

    def for_rest(self) -> Call:
        call: Call = Call.objects.for_rest(timezone.now()).get(pk=self.call.pk)
        return call

    def test_has_nothing_of_orphans(self) -> None:
        self.orphan()
        self.check()
        self.assertEqual(self.entries(), [])

    def test_has_nothing_of_a_call_that_is_gone(self) -> None:
        finding = integrity.Finding(Fault.AUDIO_MISSING, "name", uuid4())
        integrity.enter([finding])
        self.assertEqual(self.entries(), [])


class Repairing(Recordings):
    def test_removes_orphans_and_nothing_else(self) -> None:
        orphans = [
            self.orphan(),
            self.orphan(),
            self.orphan(name=f"{self.call.pk}/.1.flac.77.partial"),
        ]
        code, findings, sums = self.check("--repair")
        self.assertEqual((code, len(findings), sums["removed"], sums["wrong"]), (0, 3, 3, 0))
        self.assertFalse(any(audio_store().exists(name) for name in orphans))
        self.assertEqual(self.check()[0], 0)
        self.assertEqual(DiscardedAudio.objects.count(), 0)

    def test_leaves_what_is_not_ours(self) -> None:
        name = self.orphan(name="holiday.jpg")
        self.assertEqual(self.check("--repair")[0], 1)
        self.assertTrue(audio_store().exists(name))

    def test_leaves_orphans_while_a_journal_waits(self) -> None:
        journal = self.folder / "spool" / "process" / "stream.000000.journal"
        journal.parent.mkdir(parents=True)
        journal.write_bytes(b"")
        name = self.orphan()
        self.age(journal, HOURS_AGO)
        self.assertEqual(self.check("--repair")[0], 1)
        self.assertTrue(audio_store().exists(name))
        self.age(journal, 60)  # its objects are younger than that: the orphan is not one of them
        self.assertEqual(self.check("--repair")[0], 0)
        self.assertFalse(audio_store().exists(name))

    def test_leaves_an_orphan_that_has_got_its_row_meanwhile(self) -> None:
        name = self.orphan()
        finding = integrity._finding(name)
        make_segment(self.alice, start_sample=int(Path(name).stem.partition("-")[0]), name=name)
        self.assertEqual(integrity.remove([finding]), 0)
        self.assertTrue(audio_store().exists(name))

    def test_sweeps_what_deletions_have_left(self) -> None:
        name = self.orphan()
        DiscardedAudio.objects.create(name=name, segment_id=uuid4())
        self.assertEqual(self.check("--repair")[2]["swept"], 1)
        self.assertFalse(audio_store().exists(name))

    def test_cannot_bring_audio_back(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        self.assertEqual(self.check("--repair")[0], 1)


class Choosing(Recordings):
    def setUp(self) -> None:
        super().setUp()
        other, *_ = make_conversation()
        Segment.objects.filter(participant__call=other).update(sealed_at=START + timedelta(days=1))
        self.other = other

    def test_one_call(self) -> None:
        audio_store().delete(Segment.objects.filter(participant__call=self.other)[0].audio_name)
        self.assertEqual(self.check("--call", str(self.call.pk))[0], 0)
        code, _, sums = self.check("--call", str(self.other.pk))
        self.assertEqual((code, sums["segments"], sums["objects"]), (1, 4, 3))

    def test_what_was_sealed_since_a_day(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        code, _, sums = self.check("--since", (START + timedelta(days=1)).date().isoformat())
        self.assertEqual((code, sums["segments"]), (0, 4))
        self.assertEqual(self.check("--since", (START - timedelta(days=1)).isoformat())[0], 1)

    def test_a_moment_that_is_none_is_refused_by_name(self) -> None:
        for text in ("yesterday", "2026-13-01"):
            with self.assertRaisesMessage(CommandError, "--since"):
                call_command("check_recordings", "--since", text)


class GoingOn(Recordings):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(integrity, "PAGE", 1))
        self.enterContext(mock.patch.object(integrity, "THREADS", 1))

    @contextmanager
    def away_at(self, name: str) -> Iterator[None]:
        def read(asked: str) -> bytes:
            if asked == name:
                raise StoreUnreachable("SlowDown")
            return read_object(asked)

        with mock.patch.object(integrity, "read_object", read):
            yield

    def test_a_store_that_is_away_is_no_damage(self) -> None:
        with self.away_at(self.segments[2].audio_name):
            self.assertEqual(self.check()[:2], (2, []))
        self.assertFalse(LedgerEntry.objects.exists())

    def test_reads_only_what_is_left(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        with self.away_at(self.segments[2].audio_name):
            self.assertEqual(self.check()[0], 2)
        with mock.patch.object(integrity, "read_object", wraps=read_object) as read:
            code, findings, sums = self.check("--resume")
        self.assertEqual(
            [call.args[0] for call in read.call_args_list],
            [one.audio_name for one in self.segments[2:]],
        )
        self.assertEqual(
            (code, findings), (1, []), "what was found before is still wrong, and said once"
        )
        self.assertEqual((sums["segments"], sums["objects"], sums["audio_missing"]), (4, 3, 1))

    def test_in_the_middle_of_the_objects(self) -> None:
        names = sorted(one.audio_name for one in self.segments)
        listed = audio_store().objects

        def breaks_off(prefix: str = "", after: str = "") -> Iterator[Any]:
            for found in listed(prefix, after):
                if found.name == names[2]:
                    raise StoreUnreachable("SlowDown")
                yield found

        with mock.patch.object(audio_store(), "objects", breaks_off):
            self.assertEqual(self.check()[0], 2)
        with mock.patch.object(integrity, "read_object", side_effect=AssertionError("read again")):
            code, _, sums = self.check("--resume")
        self.assertEqual((code, sums["segments"], sums["objects"]), (0, 4, 4))

    def test_with_other_options_is_refused(self) -> None:
        with self.away_at(self.segments[2].audio_name):
            self.check()
        with self.assertRaisesMessage(CommandError, "other options"):
            call_command("check_recordings", "--resume", "--quick")

    def test_after_a_whole_check_begins_anew(self) -> None:
        self.check()
        self.assertEqual(self.check("--resume")[2]["segments"], 4)


class Words(Recordings):
    def test_a_person_reads_lines_and_sums(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        out = StringIO()
        with self.assertRaisesMessage(CommandError, "1 wrong"):
            call_command("check_recordings", stdout=out)
        first, last = out.getvalue().splitlines()
        self.assertEqual(
            first, f"audio_missing  {self.segments[0].audio_name}  {self.segments[0].pk}"
        )
        self.assertIn("4 segments, 3 objects, 1 audio missing, 0 audio damaged, 0 orphan", last)

    def test_an_empty_installation_is_well(self) -> None:
        Segment.objects.all().delete()
        for found in list(audio_store().objects()):
            audio_store().delete(found.name)
        make_call()
        self.assertEqual(self.check()[0], 0)
