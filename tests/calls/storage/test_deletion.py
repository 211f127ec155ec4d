"""Deletion of a call: all rows at once, then its objects, also after a crash in between."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from threading import Event
from typing import Any
from unittest import mock
from uuid import uuid4

from django.core.files.storage import storages
from django.db import OperationalError, connection
from django.test import TestCase, TransactionTestCase, override_settings

from calls.models import Call, DiscardedAudio, LedgerEntry, Participant, Segment, Subscription
from calls.storage import AudioStorage, audio_store, deletion
from calls.storage.threads import call_and_disconnect
from tests.calls.admin.recordings import ALICE, STARTED, Recording, Spoken

LATER = STARTED + timedelta(days=1)
ROWS = (Call, Subscription, Participant, Segment, LedgerEntry)


class FailingStore(AudioStorage):
    """Remembers deleted names; unreachable after a number of deletions."""

    def __init__(self, deletions: int = 0) -> None:
        self.deletions_left = deletions
        self.deleted: list[str] = []

    def delete(self, name: str) -> None:
        if not self.deletions_left:
            raise ConnectionError("the store is unreachable")
        self.deletions_left -= 1
        self.deleted.append(name)


def counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in ROWS}


def objects_of(call: Call) -> list[str]:
    return list(Segment.objects.filter(participant__call=call).values_list("audio_name", flat=True))


def add_segments_without_objects(call: Call, count: int) -> None:
    pattern = Segment.objects.filter(participant__call=call).get()
    copied = (
        "participant_id subscription_id journal sample_count sample_rate sha256 peak_dbfs "
        "rms_dbfs stored_bytes"
    )
    values: dict[str, Any] = {
        name: getattr(pattern, name) for name in (*copied.split(), "sealed_at")
    }
    first = pattern.start_sample + pattern.sample_count
    rows = (
        Segment(
            id=uuid4(), start_sample=first + number, audio_name=f"{call.pk}/{number}.flac", **values
        )
        for number in range(count)
    )
    while batch := list(islice(rows, 2000)):
        Segment.objects.bulk_create(batch)


class DeleteCallTests(TestCase):
    def test_all_rows_of_the_call_are_deleted_and_no_others(self) -> None:
        other = Recording().write()
        before = counts()
        call = Recording(tracks=(Spoken(ALICE, segments=3, gaps=2),)).write()

        deletion.delete_call(call.pk, LATER)

        self.assertEqual(counts(), before)
        self.assertEqual(Call.objects.get(), other)

    def test_a_sweep_removes_its_objects_and_no_others(self) -> None:
        other = Recording().write()
        call = Recording(tracks=(Spoken(ALICE, segments=3),)).write()
        names, others = objects_of(call), objects_of(other)

        deletion.delete_call(call.pk, LATER)
        self.assertTrue(
            all(audio_store().exists(name) for name in names), "objects outlive their rows"
        )

        self.assertEqual(deletion.sweep(), 3)
        self.assertFalse(any(audio_store().exists(name) for name in names))
        self.assertTrue(all(audio_store().exists(name) for name in others))
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_a_call_of_several_batches_is_deleted_completely(self) -> None:
        call = Recording(tracks=(Spoken(ALICE),)).write()
        add_segments_without_objects(call, 2 * deletion.ROWS_PER_BATCH + 1)

        deletion.delete_call(call.pk, LATER)

        self.assertEqual(DiscardedAudio.objects.count(), 2 * deletion.ROWS_PER_BATCH + 2)
        self.assertFalse(Segment.objects.exists())

    def test_a_live_call_is_refused_and_unchanged(self) -> None:
        call = Recording(open_at=STARTED + timedelta(seconds=10)).write()
        before = counts()

        with self.assertRaises(deletion.StillLive):
            deletion.delete_call(call.pk, STARTED + timedelta(seconds=11))

        self.assertEqual(counts(), before)
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_a_call_that_has_just_closed_counts_as_live(self) -> None:
        call = Recording().write()
        with self.assertRaises(deletion.StillLive):
            deletion.delete_call(call.pk, STARTED + timedelta(minutes=1, seconds=1))

    def test_a_late_heartbeat_does_not_make_a_call_deletable(self) -> None:
        call = Recording(open_at=STARTED).write()
        for clock in (
            timedelta(minutes=2),  # sealing was held up
            timedelta(hours=20),  # the database's clock was set forward
            timedelta(hours=-3),  # and back
        ):
            with self.subTest(clock), self.assertRaises(deletion.StillLive):
                deletion.delete_call(call.pk, STARTED + clock)
        self.assertTrue(Segment.objects.exists())

    def test_a_call_whose_host_is_lost_can_be_deleted_after_a_day(self) -> None:
        call = Recording(open_at=STARTED).write()
        deletion.delete_call(call.pk, STARTED + timedelta(hours=25))
        self.assertFalse(Call.objects.exists())

    def test_a_database_that_fails_halfway_leaves_the_call_unchanged(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=3, gaps=1),)).write()
        before = counts()

        def failing(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if sql.startswith('DELETE FROM "calls_ledgerentry"'):
                raise OperationalError("the database is unreachable")
            return execute(sql, params, many, context)

        with self.assertRaises(OperationalError), connection.execute_wrapper(failing):
            deletion.delete_call(call.pk, LATER)

        self.assertEqual(counts(), before)
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_a_second_deletion_does_nothing(self) -> None:
        call = Recording().write()
        deletion.delete_call(call.pk, LATER)
        deletion.delete_call(call.pk, LATER)
        self.assertFalse(Call.objects.exists())

    def test_the_extent_counts_everything_to_be_deleted(self) -> None:
        Recording().write()
        first = Recording(tracks=(Spoken(ALICE, segments=3, seconds=0.5, gaps=2),)).write()
        second = Recording().write()
        size = sum(audio_store().size(name) for name in objects_of(first) + objects_of(second))

        self.assertEqual(
            deletion.extent_of([first.pk, second.pk]),
            deletion.Extent(
                calls=2,
                participants=3,
                segments=5,
                ledger_entries=2,
                seconds=3.5,
                stored_bytes=size,
            ),
        )

    def test_the_extent_of_a_call_without_audio_is_zero(self) -> None:
        call = Recording(tracks=()).write()
        self.assertEqual(deletion.extent_of([call.pk]), deletion.Extent(1, 0, 0, 0, 0.0, 0))

    def test_memory_does_not_grow_with_the_length_of_the_call(self) -> None:
        short, long = (Recording(tracks=(Spoken(ALICE),)).write() for _ in range(2))
        add_segments_without_objects(short, 2000)
        add_segments_without_objects(long, 12_000)
        deletion.delete_call(Recording().write().pk, LATER)  # fills caches

        self.assertLess(self._peak_of_deleting(long), 1.5 * self._peak_of_deleting(short))

    def _peak_of_deleting(self, call: Call) -> int:
        tracemalloc.start()
        try:
            deletion.delete_call(call.pk, LATER)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


class SweepTests(TestCase):
    def use(self, store: FailingStore) -> None:
        kept = storages["audio"]
        storages._storages["audio"] = store  # type: ignore[attr-defined]
        self.addCleanup(storages._storages.__setitem__, "audio", kept)  # type: ignore[attr-defined]

    def test_a_sweep_without_objects_does_not_open_the_store(self) -> None:
        with mock.patch.object(deletion, "audio_store", side_effect=OSError("unreachable")):
            self.assertEqual(deletion.sweep(), 0)

    def test_the_next_sweep_removes_objects_left_by_an_unreachable_store(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=5),)).write()
        names = objects_of(call)
        deletion.delete_call(call.pk, LATER)
        store = FailingStore(deletions=2)
        self.use(store)

        with self.assertRaises(ConnectionError):
            deletion.sweep()
        store.deletions_left = 100
        deletion.sweep()

        self.assertEqual(set(store.deleted), set(names))
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_a_sweep_stops_at_its_deadline_and_the_next_continues(self) -> None:
        DiscardedAudio.objects.bulk_create(
            DiscardedAudio(name=f"gone/{number:03}.flac", segment_id=uuid4())
            for number in range(250)
        )
        self.use(FailingStore(deletions=1000))

        self.assertEqual(deletion.sweep(seconds=0), FailingStore.most_deleted_at_once)
        self.assertTrue(deletion.is_left())
        self.assertEqual(deletion.sweep(), 250 - FailingStore.most_deleted_at_once)
        self.assertFalse(deletion.is_left())

    def test_a_sweep_that_is_stopped_ends_after_its_batch(self) -> None:
        DiscardedAudio.objects.bulk_create(
            DiscardedAudio(name=f"gone/{number:03}.flac", segment_id=uuid4())
            for number in range(250)
        )
        self.use(FailingStore(deletions=1000))
        stopping = Event()
        stopping.set()
        self.assertEqual(deletion.sweep(stopping=stopping), FailingStore.most_deleted_at_once)

    def test_a_missing_object_is_ignored(self) -> None:
        DiscardedAudio.objects.create(name="gone/1.flac", segment_id=uuid4())
        deletion.sweep()
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_a_segment_that_was_sealed_again_keeps_its_object(self) -> None:
        call = Recording(tracks=(Spoken(ALICE),)).write()
        segment = Segment.objects.get(participant__call=call)
        DiscardedAudio.objects.create(name=segment.audio_name, segment_id=segment.pk)

        self.assertEqual(deletion.sweep(), 0)

        self.assertTrue(audio_store().exists(segment.audio_name))
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_a_sweep_without_discarded_audio_removes_nothing(self) -> None:
        self.assertEqual(deletion.sweep(), 0)

    @override_settings(
        STORAGES={**storages.backends, "audio": {"BACKEND": "calls.storage.local.DatabaseStorage"}},
    )
    def test_audio_in_the_database_is_deleted(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=2),)).write()
        names = objects_of(call)
        deletion.delete_call(call.pk, LATER)
        self.assertEqual(deletion.sweep(), 2)
        self.assertFalse(any(audio_store().exists(name) for name in names))


class TwoProcessesTests(TransactionTestCase):
    def test_only_one_process_sweeps(self) -> None:
        if connection.vendor != "postgresql":
            self.skipTest("SQLite serves one host, and has no such lock")
        DiscardedAudio.objects.create(name="gone/1.flac", segment_id=uuid4())
        others: list[int] = []

        def sweep_too(_store: object, _names: object) -> None:
            with ThreadPoolExecutor() as threads:
                others.append(threads.submit(call_and_disconnect, deletion.sweep).result())

        with mock.patch.object(AudioStorage, "delete_all", sweep_too):
            self.assertEqual(deletion.sweep(), 1)
        self.assertEqual(others, [0])
        self.assertFalse(deletion.is_left())


class SweepAfterCommitTests(TransactionTestCase):
    def test_objects_are_removed_right_after_the_commit(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=2),)).write()
        names = objects_of(call)
        deletion.delete_call(call.pk, LATER)
        deletion.sweep_after_commit()
        self.assertFalse(any(audio_store().exists(name) for name in names))

    def test_an_unreachable_store_does_not_undo_the_deletion(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=2),)).write()
        kept = storages["audio"]
        storages._storages["audio"] = FailingStore()  # type: ignore[attr-defined]
        self.addCleanup(storages._storages.__setitem__, "audio", kept)  # type: ignore[attr-defined]

        deletion.delete_call(call.pk, LATER)
        with self.assertLogs("django", "ERROR"):
            deletion.sweep_after_commit()

        self.assertFalse(Call.objects.exists())
        self.assertEqual(DiscardedAudio.objects.count(), 2)
