"""The check of recordings: its findings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from django.core.management import CommandError, call_command
from django.test import SimpleTestCase
from django.utils import timezone

from calls.audio import codec
from calls.audio.codec import HEADER_BYTES
from calls.models import DiscardedAudio, Segment
from calls.storage import (
    audio_store,
    integrity,
    read_object,
    write_object,
)
from streams.journal import spool
from tests.calls.rows import START, make_conversation, make_segment
from tests.calls.storage.checked_call import IntegrityTestCase


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
        code, _, totals = self.check()
        self.assertEqual((code, totals["orphan"], totals["too_new"]), (0, 0, 1))

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

    def test_another_size_alone_is_no_damage(self) -> None:
        """Two sockets with the same audio write different comments under one name."""
        segment = self.segments[0]
        content = read_object(segment.audio_name)
        samples = codec.decode(content, sample_count=segment.sample_count)
        write_object(
            segment.audio_name, codec.encode(samples.tobytes(), segment.sample_rate, "of another")
        )
        self.assertEqual(self.check("--quick")[:2], (0, []))

    def test_a_header_with_another_length_is_found(self) -> None:
        segment = self.segments[0]
        head = bytearray(read_object(segment.audio_name))
        head[HEADER_BYTES - 1] ^= 1
        write_object(segment.audio_name, bytes(head))
        self.assertIn("announces", self.check("--quick")[1][0]["why"])


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

    def test_only_objects_stored_since_a_time_are_looked_up(self) -> None:
        since = (timezone.now() - timedelta(days=1)).isoformat()
        self.orphan(age_seconds=3 * 86_400)
        self.assertEqual(self.check("--since", since)[0], 0)
        self.orphan()
        self.assertEqual(self.check("--since", since)[2]["orphan"], 1)

    def test_an_invalid_time_is_refused_by_option(self) -> None:
        for text in ("yesterday", "2026-13-01"):
            with self.assertRaisesMessage(CommandError, "--since"):
                call_command("check_recordings", "--since", text)
