"""The command `check_recordings`: resuming and output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any
from unittest import mock

from django.core.management import CommandError, call_command

from calls.models import LedgerEntry, Segment
from calls.storage import (
    StoreUnreachable,
    audio_store,
    integrity,
    read_object,
)
from tests.calls.rows import make_call
from tests.calls.storage.checked_call import IntegrityTestCase


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

    def test_objects_too_new_to_judge_are_counted_with_the_time_to_check_again(self) -> None:
        """A database restored within the hour would seem to lack nothing."""
        self.orphan(age_seconds=60)
        out, errors = StringIO(), StringIO()
        call_command("check_recordings", stdout=out, stderr=errors)
        self.assertIn("0 orphan, 0 foreign, 1 too new", out.getvalue())
        again = r"younger than an hour: 1\. Check again after \d\d:\d\d UTC"
        self.assertRegex(errors.getvalue(), again)

    def test_an_empty_installation_has_no_findings(self) -> None:
        Segment.objects.all().delete()
        for found in list(audio_store().objects()):
            audio_store().delete(found.name)
        make_call()
        self.assertEqual(self.check()[0], 0)
