"""The check of recordings: findings, ledger entries, repair, options and resuming."""

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
from django.test import SimpleTestCase, TransactionTestCase, override_settings
from django.utils import timezone

from calls.audio.codec import HEADER_BYTES
from calls.export import manifest
from calls.models import Call, DiscardedAudio, LedgerEntry, Segment
from calls.serializers import CallSerializer
from calls.storage import StoreUnreachable, audio_store, integrity, read_object, write_object
from calls.storage.integrity import Fault, Scope
from streams.journal import spool
from tests.calls.rows import START, make_call, make_conversation, make_segment

HOURS_AGO = 7200


class IntegrityTestCase(TransactionTestCase):
    """A call of two participants with two segments each, in a separate store."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        entry = {
            "BACKEND": "calls.storage.local.DurableFileStorage",
            "OPTIONS": {"location": str(self.folder / "audio")},
        }
        folders = {"DATA_DIR": self.folder, "SPOOL_DIR": self.folder / "spool"}
        self.enterContext(
            override_settings(STORAGES={**settings.STORAGES, "audio": entry}, **folders)
        )
        self.call, self.alice, self.bob = make_conversation()
        self.segments = list(Segment.objects.order_by("pk"))

    def check(self, *options: str) -> tuple[int, list[dict[str, Any]], dict[str, int]]:
        """Returns exit code, findings and totals of `check_recordings --json`."""
        out, code = StringIO(), 0
        try:
            call_command("check_recordings", "--json", *options, stdout=out, stderr=StringIO())
        except CommandError as error:
            code = error.returncode
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        totals = lines.pop() if lines and lines[-1]["finding"] is None else {}
        return code, lines, totals

    def path_of(self, name: str) -> Path:
        return self.folder / "audio" / name

    def orphan(self, *, age_seconds: float = HOURS_AGO, name: str = "") -> str:
        """Stores an object without a row, as left by a seal that could not write its row."""
        name = (
            name or f"{self.call.pk}/{self.alice.pk}/{uuid4().int % 10**12}-{uuid4().hex[:16]}.flac"
        )
        write_object(name, b"audio")
        self.set_age(self.path_of(name), age_seconds)
        return name

    def set_age(self, path: Path, seconds: float) -> None:
        then = timezone.now().timestamp() - seconds
        os.utime(path, (then, then))

    def damage(self, segment: Segment) -> None:
        content = bytearray(read_object(segment.audio_name))
        content[len(content) // 2] ^= 1
        write_object(segment.audio_name, bytes(content))


class SpoolNamesTests(SimpleTestCase):
    def test_journal_suffixes_are_those_of_the_spool(self) -> None:
        self.assertEqual(integrity.JOURNAL_SUFFIXES, set(spool.JOURNALS))


class FindingsTests(IntegrityTestCase):
    def test_intact_recordings_have_no_findings(self) -> None:
        code, findings, totals = self.check()
        self.assertEqual((code, findings), (0, []))
        self.assertEqual((totals["segments"], totals["objects"], totals["wrong"]), (4, 4, 0))

    def test_missing_audio_is_found(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        code, findings, totals = self.check()
        self.assertEqual((code, totals["audio_missing"], totals["wrong"]), (1, 1, 1))
        self.assertEqual(
            (findings[0]["finding"], findings[0]["segment"]),
            ("audio_missing", str(self.segments[0].pk)),
        )

    def test_one_flipped_bit_is_found(self) -> None:
        self.damage(self.segments[2])
        code, findings, _ = self.check()
        self.assertEqual((code, len(findings)), (1, 1))
        self.assertEqual(
            (findings[0]["finding"], findings[0]["segment"]),
            ("audio_damaged", str(self.segments[2].pk)),
        )

    def test_truncated_and_swapped_objects_are_found(self) -> None:
        write_object(self.segments[0].audio_name, read_object(self.segments[0].audio_name)[:5000])
        write_object(self.segments[1].audio_name, read_object(self.segments[2].audio_name))
        code, _, totals = self.check()
        self.assertEqual((code, totals["audio_damaged"]), (1, 2))

    def test_an_object_without_a_row_is_an_orphan(self) -> None:
        name = self.orphan()
        code, findings, _ = self.check()
        self.assertEqual(
            (code, [(found["finding"], found["object"]) for found in findings]),
            (1, [("orphan", name)]),
        )

    def test_a_recent_object_is_not_an_orphan(self) -> None:
        self.orphan(age_seconds=integrity.MIN_AGE.total_seconds() - 60)
        self.assertEqual(self.check()[0], 0)

    def test_an_object_with_another_name_is_foreign(self) -> None:
        self.orphan(name="holiday.jpg")
        self.assertEqual(self.check()[1][0]["finding"], "foreign")

    def test_an_object_that_waits_for_a_sweep_is_not_an_orphan(self) -> None:
        DiscardedAudio.objects.create(name=self.orphan(), segment_id=uuid4())
        self.assertEqual(self.check()[0], 0)

    def test_a_row_with_an_unusual_object_name_is_found_by_that_name(self) -> None:
        name = self.orphan(name="otherwise.flac")
        make_segment(self.alice, at=50, name=name)
        self.assertEqual(self.check()[2]["foreign"], 0)

    def test_a_call_that_is_deleted_during_the_check_has_no_findings(self) -> None:
        def delete_first(row: Any, *, quick: bool) -> integrity.Finding | None:
            Segment.objects.filter(pk=row.pk).delete()
            audio_store().delete(row.audio_name)
            return check_segment(row, quick=quick)

        check_segment = integrity._check_segment
        with (
            mock.patch.object(integrity, "_check_segment", delete_first),
            mock.patch.object(integrity, "THREADS", 1),
        ):
            self.assertEqual(self.check()[:2], (0, []))


class QuickTests(IntegrityTestCase):
    """`--quick` checks sizes and headers."""

    def test_no_whole_object_is_read(self) -> None:
        with mock.patch.object(integrity, "read_object", side_effect=AssertionError("read")):
            self.assertEqual(self.check("--quick")[0], 0)

    def test_missing_and_truncated_objects_are_found(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        write_object(self.segments[1].audio_name, read_object(self.segments[1].audio_name)[:-1])
        self.assertEqual(
            {found["finding"] for found in self.check("--quick")[1]},
            {"audio_missing", "audio_damaged"},
        )

    def test_a_header_with_another_length_is_found(self) -> None:
        segment = self.segments[0]
        head = bytearray(read_object(segment.audio_name))
        head[HEADER_BYTES - 1] ^= 1
        write_object(segment.audio_name, bytes(head))
        self.assertIn("announces", self.check("--quick")[1][0]["why"])


class LedgerTests(IntegrityTestCase):
    def entries(self) -> list[tuple[str, str, Any]]:
        found = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.DAMAGE)
        return [(entry.reason, entry.detail["segment"], entry.participant_id) for entry in found]

    def test_a_finding_is_entered_once(self) -> None:
        segment = self.segments[0]
        audio_store().delete(segment.audio_name)
        for _ in range(2):
            self.check()
        self.assertEqual(
            self.entries(), [("audio_missing", str(segment.pk), segment.participant_id)]
        )

    def test_an_entry_has_the_times_of_the_segment(self) -> None:
        self.damage(self.segments[0])
        self.check()
        entry = LedgerEntry.objects.get()
        where = (self.segments[0].started_at, self.segments[0].ended_at, self.call.pk)
        self.assertEqual((entry.started_at, entry.ended_at, entry.call_id), where)

    def test_the_manifest_lists_the_damage(self) -> None:
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

    def test_orphans_are_not_entered(self) -> None:
        self.orphan()
        self.check()
        self.assertEqual(self.entries(), [])

    def test_a_deleted_call_gets_no_entry(self) -> None:
        finding = integrity.Finding(Fault.AUDIO_MISSING, "name", uuid4())
        integrity.record_damage([finding])
        self.assertEqual(self.entries(), [])


class RepairTests(IntegrityTestCase):
    def test_only_orphans_are_removed(self) -> None:
        orphans = [
            self.orphan(),
            self.orphan(),
            self.orphan(name=f"{self.call.pk}/.1.flac.77.partial"),
        ]
        code, findings, totals = self.check("--repair")
        self.assertEqual((code, len(findings), totals["removed"], totals["wrong"]), (0, 3, 3, 0))
        self.assertFalse(any(audio_store().exists(name) for name in orphans))
        self.assertEqual(self.check()[0], 0)
        self.assertEqual(DiscardedAudio.objects.count(), 0)

    def test_foreign_objects_are_kept(self) -> None:
        name = self.orphan(name="holiday.jpg")
        self.assertEqual(self.check("--repair")[0], 1)
        self.assertTrue(audio_store().exists(name))

    def test_orphans_are_kept_while_an_old_journal_waits(self) -> None:
        journal = self.folder / "spool" / "process" / "stream.000000.journal"
        journal.parent.mkdir(parents=True)
        journal.write_bytes(b"")
        name = self.orphan()
        self.set_age(journal, HOURS_AGO)
        self.assertEqual(self.check("--repair")[0], 1)
        self.assertTrue(audio_store().exists(name))
        self.set_age(journal, 60)  # its objects are younger than the orphan
        self.assertEqual(self.check("--repair")[0], 0)
        self.assertFalse(audio_store().exists(name))

    def test_an_orphan_that_has_a_row_by_now_is_kept(self) -> None:
        name = self.orphan()
        ((finding,),) = [page.findings for page in integrity.check_objects(Scope(), timezone.now())]
        make_segment(self.alice, start_sample=int(Path(name).stem.partition("-")[0]), name=name)
        self.assertEqual(integrity.remove_orphans([finding]), 0)
        self.assertTrue(audio_store().exists(name))

    def test_objects_left_by_deletions_are_swept(self) -> None:
        name = self.orphan()
        DiscardedAudio.objects.create(name=name, segment_id=uuid4())
        self.assertEqual(self.check("--repair")[2]["swept"], 1)
        self.assertFalse(audio_store().exists(name))

    def test_missing_audio_stays_a_fault(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        self.assertEqual(self.check("--repair")[0], 1)


class ScopeTests(IntegrityTestCase):
    def setUp(self) -> None:
        super().setUp()
        other, *_ = make_conversation()
        Segment.objects.filter(participant__call=other).update(sealed_at=START + timedelta(days=1))
        self.other = other

    def test_only_one_call_is_checked(self) -> None:
        audio_store().delete(Segment.objects.filter(participant__call=self.other)[0].audio_name)
        self.assertEqual(self.check("--call", str(self.call.pk))[0], 0)
        code, _, totals = self.check("--call", str(self.other.pk))
        self.assertEqual((code, totals["segments"], totals["objects"]), (1, 4, 3))

    def test_only_segments_sealed_since_a_time_are_checked(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        code, _, totals = self.check("--since", (START + timedelta(days=1)).date().isoformat())
        self.assertEqual((code, totals["segments"]), (0, 4))
        self.assertEqual(self.check("--since", (START - timedelta(days=1)).isoformat())[0], 1)

    def test_an_invalid_time_is_refused_by_option(self) -> None:
        for text in ("yesterday", "2026-13-01"):
            with self.assertRaisesMessage(CommandError, "--since"):
                call_command("check_recordings", "--since", text)


class ResumeTests(IntegrityTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(integrity, "PAGE", 1))
        self.enterContext(mock.patch.object(integrity, "THREADS", 1))

    @contextmanager
    def unreachable_at(self, name: str) -> Iterator[None]:
        def read(requested: str) -> bytes:
            if requested == name:
                raise StoreUnreachable("SlowDown")
            return read_object(requested)

        with mock.patch.object(integrity, "read_object", read):
            yield

    def test_an_unreachable_store_is_not_damage(self) -> None:
        with self.unreachable_at(self.segments[2].audio_name):
            self.assertEqual(self.check()[:2], (2, []))
        self.assertFalse(LedgerEntry.objects.exists())

    def test_only_the_remaining_objects_are_read(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        with self.unreachable_at(self.segments[2].audio_name):
            self.assertEqual(self.check()[0], 2)
        with mock.patch.object(integrity, "read_object", wraps=read_object) as read:
            code, findings, totals = self.check("--resume")
        self.assertEqual(
            [call.args[0] for call in read.call_args_list],
            [segment.audio_name for segment in self.segments[2:]],
        )
        self.assertEqual(
            (code, findings), (1, []), "earlier findings still count, but are printed once"
        )
        self.assertEqual(
            (totals["segments"], totals["objects"], totals["audio_missing"]), (4, 3, 1)
        )

    def test_the_pass_over_objects_is_resumed(self) -> None:
        names = sorted(segment.audio_name for segment in self.segments)
        listed = audio_store().objects

        def failing(prefix: str = "", after: str = "") -> Iterator[Any]:
            for found in listed(prefix, after):
                if found.name == names[2]:
                    raise StoreUnreachable("SlowDown")
                yield found

        with mock.patch.object(audio_store(), "objects", failing):
            self.assertEqual(self.check()[0], 2)
        with mock.patch.object(integrity, "read_object", side_effect=AssertionError("read again")):
            code, _, totals = self.check("--resume")
        self.assertEqual((code, totals["segments"], totals["objects"]), (0, 4, 4))

    def test_other_options_are_refused(self) -> None:
        with self.unreachable_at(self.segments[2].audio_name):
            self.check()
        with self.assertRaisesMessage(CommandError, "other options"):
            call_command("check_recordings", "--resume", "--quick")

    def test_a_completed_check_starts_again(self) -> None:
        self.check()
        self.assertEqual(self.check("--resume")[2]["segments"], 4)


class OutputTests(IntegrityTestCase):
    def test_findings_and_totals_are_lines_of_text(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        out = StringIO()
        with self.assertRaisesMessage(CommandError, "faults found: 1"):
            call_command("check_recordings", stdout=out)
        first, last = out.getvalue().splitlines()
        self.assertEqual(
            first, f"audio_missing  {self.segments[0].audio_name}  {self.segments[0].pk}"
        )
        self.assertIn("4 segments, 3 objects, 1 audio missing, 0 audio damaged, 0 orphan", last)

    def test_an_empty_installation_has_no_findings(self) -> None:
        Segment.objects.all().delete()
        for found in list(audio_store().objects()):
            audio_store().delete(found.name)
        make_call()
        self.assertEqual(self.check()[0], 0)
