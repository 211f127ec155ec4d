"""The background watch of the database, and its trial on a real Postgres."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import skipUnless
from unittest.mock import patch

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.test import SimpleTestCase, TransactionTestCase

from acsmedia.monitoring import database_watch
from acsmedia.monitoring.database_watch import (
    ANSWER_SECONDS,
    GIVE_UP_SECONDS,
    KEEP_SECONDS,
    RETRY_SECONDS,
    DatabaseWatch,
)


class DatabaseWatchTests(SimpleTestCase):
    """Started threads hang until the test runs them."""

    def setUp(self) -> None:
        self.now = 0.0
        self.threads: list[Callable[[], None]] = []
        self.outcomes: list[Exception | None] = []
        self.pauses: list[float] = []
        self.watch = DatabaseWatch(
            self.trial, clock=lambda: self.now, pause=self.pauses.append, start=self.threads.append
        )

    def trial(self) -> None:
        if (failure := self.outcomes.pop(0)) is not None:
            raise failure

    def outage(self, *, at: float) -> str:
        self.now = at
        return self.watch.outage()

    def run_trials(self, *outcomes: Exception | None) -> None:
        """Runs the newest thread to its end, with one outcome per trial."""
        self.outcomes = [*outcomes]
        self.threads.pop()()
        self.assertEqual(self.outcomes, [])

    def test_starts_one_trial_at_first_and_does_not_wait(self) -> None:
        self.assertEqual((self.outage(at=0), self.outage(at=0.1)), ("", ""))
        self.assertEqual(len(self.threads), 1)

    def test_trusts_a_success_for_a_moment(self) -> None:
        self.outage(at=0)
        self.run_trials(None)
        self.assertEqual(self.outage(at=KEEP_SECONDS / 2), "")
        self.assertEqual(self.threads, [])
        self.assertEqual(self.outage(at=KEEP_SECONDS), "")
        self.assertEqual(len(self.threads), 1)

    def test_reports_the_type_of_a_failure_and_retries_until_it_is_over(self) -> None:
        self.outage(at=0)
        seen: list[str] = []
        self.watch._pause = lambda seconds: seen.append(f"{seconds} {self.outage(at=1)}")
        refused = psycopg.OperationalError("password of db.internal is hunter2")
        with self.assertLogs("acsmedia.monitoring.database_watch", "INFO") as logged:
            self.run_trials(refused, refused, None)
        self.assertEqual(seen, [f"{RETRY_SECONDS} OperationalError"] * 2)
        self.assertEqual(self.watch.outage(), "")
        self.assertEqual(len(logged.output), 2, "begin and end of the outage, not every trial")
        self.assertNotIn("hunter2", str(logged.output))

    def test_treats_a_hanging_trial_as_an_outage_until_it_answers(self) -> None:
        self.assertEqual(self.outage(at=0), "")
        self.assertEqual(self.outage(at=ANSWER_SECONDS - 0.1), "")
        self.assertEqual(self.outage(at=ANSWER_SECONDS), "timeout")
        self.assertEqual(self.outage(at=GIVE_UP_SECONDS - 0.1), "timeout")
        self.assertEqual(len(self.threads), 1, "no second one while it hangs")
        self.run_trials(None)
        self.assertEqual(self.watch.outage(), "")

    def test_abandons_a_trial_that_hangs_too_long_and_ignores_its_result(self) -> None:
        self.outage(at=0)
        self.assertEqual(self.outage(at=GIVE_UP_SECONDS), "timeout")
        abandoned = self.threads.pop(0)
        self.run_trials(None)
        self.assertEqual(self.watch.outage(), "")
        self.outcomes = [OSError()]
        abandoned()
        self.assertEqual((self.watch.outage(), self.pauses), ("", []))


@skipUnless(connection.vendor == "postgresql", "the trial needs Postgres")
class TryPostgresTests(TransactionTestCase):
    def pool(self) -> Any:
        pool = connection.pool  # type: ignore[attr-defined]
        pool.open()
        return pool

    def test_queries_are_not_compiled(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW jit")
            self.assertEqual(cursor.fetchone(), ("off",))

    def test_a_reachable_database_passes(self) -> None:
        database_watch.try_postgres()

    def test_an_unreachable_database_fails(self) -> None:
        backend = type(connections[DEFAULT_DB_ALIAS])
        unreachable = {"host": "/nowhere", "dbname": "none"}
        with (
            patch.object(backend, "get_connection_params", return_value=unreachable),
            patch.object(backend, "pool", None),
            self.assertRaises(psycopg.OperationalError),
        ):
            database_watch.try_postgres()

    def test_an_exhausted_pool_is_not_an_outage(self) -> None:
        pool = self.pool()
        with ExitStack() as taken, patch.object(database_watch, "POOL_SECONDS", 0.01):
            while has_more(pool):  # threads of other tests may keep some of them
                taken.enter_context(pool.connection())
            database_watch.try_postgres()

    def test_dead_connections_are_not_given_to_later_requests(self) -> None:
        pool = self.pool()
        with ExitStack() as taken:
            for _ in range(3):
                taken.enter_context(pool.connection())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        database_watch.try_postgres()
        for _ in range(3):
            with pool.connection() as given:
                self.assertEqual(given.execute("SELECT 1").fetchone(), (1,))


def has_more(pool: Any) -> bool:
    """Returns whether the pool can give a connection, idle or new."""
    stats = pool.get_stats()
    return bool(stats["pool_available"] or stats["pool_size"] < stats["pool_max"])
