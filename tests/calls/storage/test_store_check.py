"""A wrong store is told from missing audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

from calls.models import DiscardedAudio, LedgerEntry
from calls.storage import (
    audio_store,
    store_check,
)
from tests.calls.storage.checked_call import IntegrityTestCase


class WrongStoreTests(IntegrityTestCase):
    """Another store, or an empty one, is not one whose audio is missing."""

    def elsewhere(self) -> Path:
        """Returns where the folder of the store is now; an empty one is in its place."""
        moved = self.folder / "elsewhere"
        (self.folder / "audio").rename(moved)
        (self.folder / "audio").mkdir()
        return moved

    def test_an_empty_folder_is_not_missing_audio(self) -> None:
        self.elsewhere()
        for options in ([], ["--quick"], ["--repair"], ["--call", str(self.call.pk)]):
            self.assertEqual(self.check(*options)[:2], (2, []))
        self.assertFalse(LedgerEntry.objects.exists())

    def test_a_folder_that_does_not_exist_is_not_missing_audio(self) -> None:
        self.elsewhere()
        (self.folder / "audio").rmdir()
        self.assertEqual(self.check("--quick")[:2], (2, []))

    def test_the_store_of_another_installation_is_left_as_it_is(self) -> None:
        self.elsewhere()
        name = self.orphan(name=f"{uuid4()}/{uuid4()}/1-{uuid4().hex[:16]}.flac")
        self.assertEqual(self.check("--repair")[:2], (2, []))
        self.assertTrue(audio_store().exists(name))

    def test_nothing_is_swept_from_another_store(self) -> None:
        """Otherwise nobody would know of the objects that are left in the right one."""
        DiscardedAudio.objects.create(name="gone/1.flac", segment_id=uuid4())
        self.elsewhere()
        self.assertEqual(self.check("--repair")[0], 2)
        self.assertTrue(DiscardedAudio.objects.exists())

    def test_audio_that_is_really_lost_is_entered_with_yes(self) -> None:
        self.elsewhere()
        self.assertEqual(self.check("--yes")[2]["audio_missing"], 4)
        self.assertEqual(LedgerEntry.objects.present_audio_faults().count(), 4)

    def test_a_store_that_is_unmounted_during_a_check_is_not_missing_audio(self) -> None:
        confirm, times = store_check.StoreCheck.confirm, iter(range(9))

        def then_unmounted(self_: Any) -> None:
            confirm(self_)
            if next(times) == 0:
                self.elsewhere()

        with mock.patch.object(store_check.StoreCheck, "confirm", then_unmounted):
            self.assertEqual(self.check()[:2], (2, []))
        self.assertFalse(LedgerEntry.objects.exists())

    def test_a_sample_is_looked_for_among_many_segments(self) -> None:
        with mock.patch.object(store_check, "SAMPLE", 2):
            self.assertEqual(len(store_check._some_names()), 2)
            self.assertEqual(self.check()[0], 0)

    def test_the_sample_begins_again_behind_the_last_segment(self) -> None:
        self.elsewhere()
        with mock.patch.object(store_check, "uuid4", return_value=UUID(int=2**128 - 1)):
            self.assertEqual(self.check()[0], 2)
