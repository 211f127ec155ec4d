"""What is known of the database without asking it; and the trial itself, on the pass with a real
Postgres.
"""

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


class AWatch(SimpleTestCase):
    """Its threads are started, but run only when the test says so; until then they hang."""

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

    def asks(self, *, at: float) -> str:
        self.now = at
        return self.watch.outage()

    def tries(self, *outcomes: Exception | None) -> None:
        """The newest thread, to its end."""
        self.outcomes = [*outcomes]
        self.threads.pop()()
        self.assertEqual(self.outcomes, [])

    def test_that_knows_nothing_yet_begins_one_trial_and_holds_nobody_up(self) -> None:
        self.assertEqual((self.asks(at=0), self.asks(at=0.1)), ("", ""))
        self.assertEqual(len(self.threads), 1)

    def test_believes_an_answer_for_a_moment(self) -> None:
        self.asks(at=0)
        self.tries(None)
        self.assertEqual(self.asks(at=KEEP_SECONDS / 2), "")
        self.assertEqual(self.threads, [])
        self.assertEqual(self.asks(at=KEEP_SECONDS), "")
        self.assertEqual(len(self.threads), 1)

    def test_tells_a_failure_by_its_kind_and_tries_on_by_itself_until_it_is_over(self) -> None:
        self.asks(at=0)
        seen: list[str] = []
        self.watch._pause = lambda seconds: seen.append(f"{seconds} {self.asks(at=1)}")
        refused = psycopg.OperationalError("password of db.internal is hunter2")
        with self.assertLogs("acsmedia.monitoring.database_watch", "INFO") as logged:
            self.tries(refused, refused, None)
        self.assertEqual(seen, [f"{RETRY_SECONDS} OperationalError"] * 2)
        self.assertEqual(self.watch.outage(), "")
        self.assertEqual(len(logged.output), 2, "its going and its return, not every trial")
        self.assertNotIn("hunter2", str(logged.output))

    def test_takes_a_trial_that_hangs_for_an_outage_and_its_answer_for_the_end_of_it(self) -> None:
        self.assertEqual(self.asks(at=0), "")
        self.assertEqual(self.asks(at=ANSWER_SECONDS - 0.1), "")
        self.assertEqual(self.asks(at=ANSWER_SECONDS), "timeout")
        self.assertEqual(self.asks(at=GIVE_UP_SECONDS - 0.1), "timeout")
        self.assertEqual(len(self.threads), 1, "no second one while it hangs")
        self.tries(None)
        self.assertEqual(self.watch.outage(), "")

    def test_begins_another_trial_when_one_hangs_for_too_long_and_believes_only_the_newest(
        self,
    ) -> None:
        self.asks(at=0)
        self.assertEqual(self.asks(at=GIVE_UP_SECONDS), "timeout")
        given_up = self.threads.pop(0)
        self.tries(None)
        self.assertEqual(self.watch.outage(), "")
        self.outcomes = [OSError()]
        given_up()
        self.assertEqual((self.watch.outage(), self.pauses), ("", []))


@skipUnless(connection.vendor == "postgresql", "a Postgres is what it tries")
class OnPostgres(TransactionTestCase):
    def pool(self) -> Any:
        pool = connection.pool  # type: ignore[attr-defined]
        pool.open()
        return pool

    def test_questions_are_not_compiled(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW jit")
            self.assertEqual(cursor.fetchone(), ("off",))

    def test_one_that_answers_is_well(self) -> None:
        database_watch.try_postgres()

    def test_one_that_cannot_be_reached_is_away(self) -> None:
        backend = type(connections[DEFAULT_DB_ALIAS])
        nowhere = {"host": "/nowhere", "dbname": "none"}
        with (
            patch.object(backend, "get_connection_params", return_value=nowhere),
            patch.object(backend, "pool", None),
            self.assertRaises(psycopg.OperationalError),
        ):
            database_watch.try_postgres()

    def test_a_pool_whose_connections_are_all_taken_is_not_an_outage(self) -> None:
        pool = self.pool()
        with ExitStack() as taken, patch.object(database_watch, "POOL_SECONDS", 0.01):
            while has_more(pool):  # threads of other tests may keep some of them
                taken.enter_context(pool.connection())
            database_watch.try_postgres()

    def test_connections_that_died_are_not_given_to_the_next_requests(self) -> None:
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
    """Whether the pool would give a connection, one that lies there or a new one."""
    stats = pool.get_stats()
    return bool(stats["pool_available"] or stats["pool_size"] < stats["pool_max"])
