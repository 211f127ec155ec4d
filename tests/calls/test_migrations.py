"""Migrations beside recorders that seal, on real Postgres: no deadlock, and no long lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import Any, Self
from unittest import TestCase
from uuid import uuid4

import psycopg
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.test import tag

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
