"""Migrations beside recorders that seal, on real Postgres: no deadlock, and no long lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import Any, Self
from unittest import TestCase, mock
from uuid import uuid4

import psycopg
from django.db import OperationalError, connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.test import TransactionTestCase, tag

from calls.models import schema_changes
from tests.backends import postgres
from tests.servers import ROOT
from tests.waiting import wait_until

READ_SECONDS = 1.8
BEFORE = "0005"
"""The last migration of the first release, whose transactions are those of `Load`."""

LAST_RELEASE = "0011"
"""The migrations after it add columns only, and are undone and done again."""

LONGEST_SECONDS = 10.0
"""A brief lock takes a second, the rest is a loaded machine."""

ROWS = """
INSERT INTO calls_call (id, call_connection_id, correlation_id, started_at)
    VALUES (%(call)s, 'c', 'c', now()) ON CONFLICT DO NOTHING;
SELECT 1 FROM calls_call WHERE id = %(call)s FOR UPDATE;
INSERT INTO calls_subscription (id, call_id, stream_id, subscription_id, encoding, connected_at,
        seen_at, audio, dtmf, unknown, malformed, duplicate, late)
    VALUES (%(socket)s, %(call)s, %(socket)s, '', 'PCM', now(), now(), 0, 0, 0, 0, 0, 0);
INSERT INTO calls_participant (id, call_id, raw_id, kind, display_name)
    VALUES (%(track)s, %(call)s, 'r', 'phone', '');
INSERT INTO calls_segment (id, participant_id, subscription_id, journal, start_sample, sample_count,
        sample_rate, sha256, peak_dbfs, rms_dbfs, audio_name, stored_bytes, sealed_at)
    SELECT gen_random_uuid(), %(track)s, %(socket)s, n, n, 1, 16000, '', 0, 0, '', 0, now()
    FROM generate_series(1, 20) AS n;
UPDATE calls_participant SET heard_at = now(), heard_until = now() WHERE id = %(track)s;
UPDATE calls_subscription SET seen_at = now() WHERE id = %(socket)s;
"""


class Load:
    """Threads that write as the sealer of the first release does, and one that reads for long."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = threading.Event()
        self.errors: list[str] = []
        self.longest_seconds = 0.0
        self.transactions = 0
        self._threads = [threading.Thread(target=self._run, args=(self._seal,)) for _ in range(2)]
        self._threads.append(threading.Thread(target=self._run, args=(self._read,)))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Any) -> None:
        with closing(psycopg.connect(self._url)) as connection:
            while not self._stopping.is_set():
                try:
                    work(connection)
                except psycopg.Error as error:
                    self.errors.append(str(error))
                    connection.rollback()

    def _seal(self, connection: psycopg.Connection[Any]) -> None:
        started = time.monotonic()
        values = {name: str(uuid4()) for name in ("call", "socket", "track")}
        for statement in ROWS.strip().split(";\n"):
            connection.execute(statement.rstrip(";"), values)
        connection.commit()
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)
        self.transactions += 1
        self._stopping.wait(0.005)

    def _read(self, connection: psycopg.Connection[Any]) -> None:
        """Reads one table after another in a transaction of two seconds."""
        connection.execute("SELECT count(*) FROM calls_segment")
        self._stopping.wait(READ_SECONDS)
        connection.execute("SELECT count(*) FROM calls_participant")
        connection.execute("SELECT count(*) FROM calls_subscription")
        connection.rollback()


def migrate(url: str, *target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", *target],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@tag("once")
class LoadTests(TestCase):
    def test_recorders_seal_while_the_database_is_migrated(self) -> None:
        url = self.enterContext(postgres())
        done = migrate(url, "calls", BEFORE)
        self.assertEqual(done.returncode, 0, done.stderr)
        with Load(url) as load:
            done = migrate(url)
            before = load.transactions
            wait_until(lambda: load.transactions > before, what=lambda: str(load.errors))
            self.assertEqual(done.returncode, 0, done.stderr)
            for target in (LAST_RELEASE, None):  # columns are removed and added as briefly
                done = migrate(url, "calls", *filter(None, [target]))
                self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(load.errors[:3], [])
        self.assertLess(load.longest_seconds, LONGEST_SECONDS)
        with closing(psycopg.connect(url)) as connection:
            indexes: dict[str, str] = dict(
                connection.execute(
                    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'calls_segment'"
                ).fetchall()
            )
            invalid = connection.execute("SELECT 1 FROM pg_index WHERE NOT indisvalid").fetchall()
        self.assertEqual(
            set(indexes),
            {"calls_segment_pkey", "segment_one_per_start"}
            | {"segment_newest_first", "segment_of_journal"},
        )
        self.assertIn(
            "INCLUDE (sample_count, sample_rate, stored_bytes)", indexes["segment_one_per_start"]
        )
        self.assertEqual(invalid, [])


def refused(sqlstate: str) -> OperationalError:
    """Returns the error of Django for one of Postgres."""
    error = OperationalError("refused")
    error.__cause__ = psycopg.errors.lookup(sqlstate)()
    return error


class BriefTests(TestCase):
    """`briefly`, with an editor that does nothing."""

    def setUp(self) -> None:
        self.done: list[str] = []
        self.editor = mock.Mock()
        self.editor.connection.vendor = "postgresql"
        self.editor.execute.side_effect = self.done.append
        atomic = self.enterContext(mock.patch("django.db.transaction.atomic"))
        atomic.return_value.__enter__.side_effect = lambda: self.done.append("begin")
        atomic.return_value.__exit__.return_value = False  # errors are passed on
        self.sleep = self.enterContext(mock.patch("time.sleep"))

    def test_waits_for_the_lock_of_its_own_transaction_for_seconds_only(self) -> None:
        schema_changes.briefly(self.editor, lambda: self.done.append("change"))
        self.assertEqual(self.done, ["begin", "SET LOCAL lock_timeout = '2s'", "change"])

    def test_sqlite_has_no_such_limit(self) -> None:
        self.editor.connection.vendor = "sqlite"
        schema_changes.briefly(self.editor, lambda: self.done.append("change"))
        self.assertEqual(self.done, ["begin", "change"])

    def test_gives_way_and_tries_again_after_a_pause(self) -> None:
        change = mock.Mock(side_effect=[refused("55P03"), refused("40P01"), None])
        schema_changes.briefly(self.editor, change)
        self.assertEqual((change.call_count, self.done.count("begin")), (3, 3))
        pauses = [call.args[0] for call in self.sleep.call_args_list]
        self.assertEqual(len(pauses), 2)
        for pause in pauses:
            self.assertTrue(0.5 <= pause <= 1.5, pause)

    def test_gives_up_in_the_end_and_says_what_to_do(self) -> None:
        change = mock.Mock(side_effect=refused("55P03"))
        with self.assertRaises(OperationalError) as raised:
            schema_changes.briefly(self.editor, change)
        self.assertEqual(change.call_count, schema_changes.ATTEMPTS)
        self.assertIn("end it, and migrate again", raised.exception.__notes__[0])

    def test_another_error_is_raised_at_once(self) -> None:
        for error in (refused("57P01"), OperationalError("disk I/O error")):
            change = mock.Mock(side_effect=error)
            with self.assertRaises(OperationalError):
                schema_changes.briefly(self.editor, change)
            self.assertEqual(change.call_count, 1)
        self.sleep.assert_not_called()


class OperationTests(TestCase):
    def test_later_migrations_lock_tables_briefly_only(self) -> None:
        """Operations of Django that lock a table that a recorder uses have a brief form."""
        brief: dict[type[Operation], type[Operation]] = {
            migrations.AddField: schema_changes.AddField,
            migrations.AddIndex: schema_changes.AddIndex,
        }
        loader = MigrationLoader(None)
        for (app, name), migration in loader.disk_migrations.items():
            if app != "calls" or name <= BEFORE + "_~":
                continue
            created = {
                one.name_lower
                for one in migration.operations
                if isinstance(one, migrations.CreateModel)
            }
            for operation in migration.operations:
                wanted = brief.get(type(operation))
                if wanted and operation.model_name_lower not in created:  # type: ignore[attr-defined]
                    self.fail(f"{name}: use calls.models.schema_changes.{wanted.__name__}")


class RepeatedTests(TransactionTestCase):
    def test_a_column_that_is_there_already_is_not_added_again(self) -> None:
        """A migration that is not atomic may have stopped half-way."""
        loader = MigrationLoader(connection)
        before = loader.project_state(("calls", "0016_refusals"))
        operation = loader.get_migration("calls", "0017_continued_calls").operations[1]
        after = before.clone()
        operation.state_forwards("calls", after)
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("calls", editor, before, after)
            self.assertEqual(editor.deferred_sql, [])
