"""Trials of what a process needs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.test import SimpleTestCase, TransactionTestCase, override_settings
from django.utils import timezone

from acsmedia.monitoring import trials
from acsmedia.monitoring.trials import KeysTrial, Unavailable
from calls.storage import NotStored, StoreUnreachable, audio_store, cause_of
from streams.acs.jwks import KeysUnavailable
from tests.calls.rows import make_process


class DatabaseTests(TransactionTestCase):
    def test_a_reachable_database_passes(self) -> None:
        trials.try_database()

    async def test_a_reachable_layer_passes(self) -> None:
        await trials.try_layer()


class MigrationTests(TransactionTestCase):
    def test_a_complete_database_passes(self) -> None:
        trials.try_migrations()

    def test_a_migration_that_is_not_applied_is_counted(self) -> None:
        applied = MigrationRecorder.applied_migrations

        def lacks_one(recorder: MigrationRecorder) -> dict[Any, Any]:
            return {name: at for name, at in applied(recorder).items() if name[0] != "sessions"}

        with (
            mock.patch.object(MigrationRecorder, "applied_migrations", lacks_one),
            self.assertRaisesRegex(Unavailable, "^migrations to apply: 1$"),
        ):
            trials.try_migrations()


class ProcessesTests(TransactionTestCase):
    def test_one_process_needs_no_redis_and_two_do(self) -> None:
        now = timezone.now()
        with override_settings(ROLE="all", REDIS_URL=""):
            make_process(seen_at=now, started_at=now)
            trials.try_processes()
            make_process(seen_at=now, started_at=now, host="ingest-2")
            with self.assertRaisesRegex(Unavailable, "^other recorders: 1, but no REDIS_URL$"):
                trials.try_processes()

    def test_without_a_database_its_own_check_reports(self) -> None:
        with mock.patch.object(trials, "recorder_state", side_effect=OperationalError):
            trials.try_processes()


class StoreTests(SimpleTestCase):
    databases = "__all__"

    def test_a_store_that_lets_us_in_passes(self) -> None:
        trials.try_store()

    def test_the_cause_is_shown(self) -> None:
        refused = StoreUnreachable("NoSuchBucket")
        with (
            mock.patch.object(audio_store(), "check_access", side_effect=refused),
            self.assertRaisesRegex(Unavailable, "^NoSuchBucket$"),
        ):
            trials.try_store()

    def test_a_folder_that_is_a_file_is_refused(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            entry = {
                "BACKEND": "calls.storage.local.DurableFileStorage",
                "OPTIONS": {"location": file.name},
            }
            with (
                override_settings(STORAGES={**settings.STORAGES, "audio": entry}),
                self.assertRaisesRegex(Unavailable, "^NotADirectory$"),
            ):
                trials.try_store()

    def test_a_cause_has_no_paths_and_no_wrappers(self) -> None:
        for error, cause in (
            (wrapped(StoreUnreachable("AccessDenied")), "AccessDenied"),
            (wrapped(OSError(28, "No space left on device", "/data/x")), "No space left on device"),
            (wrapped(wrapped(StoreUnreachable("ReadTimeoutError"))), "ReadTimeoutError"),
            (wrapped(NotStored("/data/x differs")), "NotStored"),
            (ValueError("/data/x"), "ValueError"),
            (OSError("/data/x"), "OSError"),
        ):
            with self.subTest(cause):
                self.assertEqual(cause_of(error), cause)


class KeysTests(SimpleTestCase):
    async def test_without_authentication_there_is_nothing_to_check(self) -> None:
        await KeysTrial()()

    async def test_missing_keys_are_reported_with_the_reason(self) -> None:
        async def fails() -> None:
            raise KeysUnavailable("ConnectionRefusedError")

        trial = KeysTrial()
        trial.install(fails)
        with self.assertRaisesRegex(Unavailable, "^no keys of ACS: ConnectionRefusedError$"):
            await trial()


class JournalTests(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "data" / "spool"

    def test_the_folder_is_created_and_left_empty(self) -> None:
        with override_settings(SPOOL_DIR=self.folder, MIN_FREE_DISK_MB=0):
            trials.try_journal()
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_nearly_full_disk_cannot_record(self) -> None:
        with (
            override_settings(SPOOL_DIR=self.folder, MIN_FREE_DISK_MB=10**9),
            self.assertRaisesRegex(Unavailable, r"^\d+ MB free, 1000000000 required$"),
        ):
            trials.try_journal()

    def test_the_quota_is_that_of_the_settings(self) -> None:
        limits = {"SPOOL_DIR": self.folder, "SPOOL_LIMIT_GB": 0.001, "MIN_FREE_DISK_MB": 0}
        with override_settings(**limits):
            trials.try_disk_quota()
            journal = self.folder / "process" / "stream.000000.journal"
            journal.parent.mkdir()
            journal.write_bytes(bytes(1_000_000))
            with self.assertRaisesRegex(Unavailable, "^journals take 1 MB, 1 allowed$"):
                trials.try_disk_quota()
        with override_settings(SPOOL_DIR=self.folder, SPOOL_LIMIT_GB=0.0, MIN_FREE_DISK_MB=0):
            trials.try_disk_quota()

    def test_a_folder_that_cannot_be_written_cannot_record(self) -> None:
        self.folder.parent.mkdir()
        self.folder.touch()
        with (
            override_settings(SPOOL_DIR=self.folder, MIN_FREE_DISK_MB=0),
            self.assertRaises(OSError),
        ):
            trials.try_journal()


def wrapped(error: Exception) -> StoreUnreachable:
    """Returns the error as a caller of the store reports it."""
    wrapper = StoreUnreachable(f"not stored: {error}")
    wrapper.__cause__ = error
    return wrapper
