"""Objects without a row: what `--repair` removes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from unittest import mock
from uuid import uuid4

from django.utils import timezone

from calls.management.commands import check_recordings
from calls.models import DiscardedAudio
from calls.storage import (
    StoredObject,
    StoreUnreachable,
    audio_store,
    integrity,
)
from calls.storage.integrity import Scope
from tests.calls.rows import make_segment
from tests.calls.storage.checked_call import HOURS_AGO, IntegrityTestCase


def days_ago(days: int) -> str:
    return (timezone.now() - timedelta(days=days)).date().isoformat()


def with_others(listed: Iterator[StoredObject]) -> Iterator[StoredObject]:
    """Yields the objects of a store, and 99 others of each of the days 5 to 9 days ago."""
    yield from listed
    for number in range(495):
        stored_at = timezone.now() - timedelta(days=5 + number // 99)
        yield StoredObject(f"{number}.flac", 5, stored_at)


class RepairTests(IntegrityTestCase):
    def test_only_orphans_are_removed(self) -> None:
        orphans = [
            self.orphan(),
            self.orphan(),
            self.orphan(name=f"{self.call.pk}/.1.flac.77.partial"),
        ]
        code, findings, totals = self.check("--repair", "--yes")
        self.assertEqual((code, len(findings), totals["removed"], totals["wrong"]), (0, 3, 3, 0))
        self.assertFalse(any(audio_store().exists(name) for name in orphans))
        self.assertEqual(self.check()[0], 0)
        self.assertEqual(DiscardedAudio.objects.count(), 0)

    def test_nothing_is_removed_if_rows_of_many_objects_are_missing(self) -> None:
        """A restored database lacks the rows since its backup."""
        orphans = [self.orphan(), self.orphan()]
        with self.says("2 of 6 objects have no row"):
            code, _, totals = self.check("--repair")
        self.assertEqual((code, totals["removed"], totals["wrong"]), (1, 0, 2))
        self.assertTrue(all(audio_store().exists(name) for name in orphans))
        self.assertEqual(self.check("--repair", "--yes")[2]["removed"], 2)

    def test_few_of_all_objects_may_be_many_of_a_day(self) -> None:
        orphan = self.orphan(age_seconds=3 * 86_400)
        listed = audio_store().objects
        with (
            mock.patch.object(audio_store(), "objects", lambda *at: with_others(listed(*at))),
            mock.patch.object(integrity, "_without_row", lambda names: {orphan} & set(names)),
            self.says(f"1 of 1 objects stored on {days_ago(3)} have no row"),
        ):
            self.assertEqual(self.check("--repair")[2]["removed"], 0)
        self.assertTrue(audio_store().exists(orphan))

    def test_a_resumed_check_remembers_the_days(self) -> None:
        orphan = self.orphan(age_seconds=3 * 86_400)
        listed = audio_store().objects

        def failing(*at: str) -> Iterator[StoredObject]:
            yield from islice(listed(*at), 5)  # the orphan, and the segments
            raise StoreUnreachable("SlowDown")

        with (
            mock.patch.object(integrity, "_without_row", lambda names: {orphan} & set(names)),
            mock.patch.object(integrity, "PAGE", 5),
        ):
            with mock.patch.object(audio_store(), "objects", failing):
                self.assertEqual(self.check("--repair")[0], 2)
            with (
                mock.patch.object(audio_store(), "objects", lambda *at: with_others(listed(*at))),
                self.says(f"1 of 1 objects stored on {days_ago(3)} have no row"),
            ):
                self.assertEqual(self.check("--repair", "--resume")[2]["removed"], 0)
        self.assertTrue(audio_store().exists(orphan))

    def test_few_orphans_are_removed_without_yes(self) -> None:
        orphan = self.orphan(age_seconds=9 * 86_400)
        listed = audio_store().objects
        with (
            mock.patch.object(audio_store(), "objects", lambda *at: with_others(listed(*at))),
            mock.patch.object(integrity, "_without_row", lambda names: {orphan} & set(names)),
        ):
            self.assertEqual(self.check("--repair")[2]["removed"], 1)
        self.assertFalse(audio_store().exists(orphan))

    @contextmanager
    def says(self, text: str) -> Iterator[None]:
        """Asserts that the command prints `text` on standard error."""
        with mock.patch.object(check_recordings.Command, "_line") as line:
            yield
        self.assertIn(text, "".join(call.args[0] for call in line.call_args_list))

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
        self.assertEqual(self.check("--repair", "--yes")[0], 1)
        self.assertTrue(audio_store().exists(name))
        self.set_age(journal, 60)  # its objects are younger than the orphan
        self.assertEqual(self.check("--repair", "--yes")[0], 0)
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
