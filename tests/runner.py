"""Django's test runner, with a second pass on other backends and a summary line.

`manage.py test` runs everything. `manage.py test --again` is the pass on real Postgres and Redis.
It excludes only tests whose result cannot differ there, so a new test is in both passes by default:

- the tests of the pure modules (`tests.coverage_of_pure.PURE`), which use neither database nor
  channel layer;
- tests tagged "once": pages in a browser, JavaScript, the build, servers with their own database.
"""

from __future__ import annotations

import faulthandler
import unittest
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import patch

from django.core.management.commands import flush
from django.db import connection
from django.test.runner import DiscoverRunner

from tests.coverage_of_pure import PURE

ONCE = frozenset({"once", "browser", "javascript"})

FILLED = {"django_content_type", "auth_permission"}
"""Tables that `migrate` fills from the models."""

HUNG_SECONDS = 300.0
"""No test takes a tenth of this. A test that hangs ends the run with the stacks of all threads."""


class Result(unittest.TextTestResult):
    """Ends the process with stack traces if a test hangs, before CI would end it without any."""

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        # file 2 is stderr, also with --buffer
        faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True, file=2)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)


class Runner(DiscoverRunner):
    """Django's runner with the option `--again`."""

    def __init__(
        self, *, again: bool = False, exclude_tags: Iterable[str] | None = None, **options: Any
    ) -> None:
        self._again = again
        super().__init__(exclude_tags=[*(exclude_tags or ()), *(ONCE if again else ())], **options)

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--again",
            action="store_true",
            help="Exclude tests that cannot differ there.",
        )

    def load_tests_for_label(self, label: str, discover_kwargs: dict[str, str]) -> Any:
        """Loads the tests of a label, in a second pass without those of the pure modules."""
        tests = super().load_tests_for_label(label, discover_kwargs)
        if not self._again:
            return tests
        pure = {module for modules in PURE.values() for module in modules}
        return unittest.TestSuite(
            test for test in _each(tests) if type(test).__module__ not in pure
        )

    def setup_databases(self, **options: Any) -> Any:
        """Tests empty the tables but those that `migrate` fills after the migrations, which would
        take longer than most tests. On Postgres by DELETE, because TRUNCATE creates all files anew.
        """
        patch.object(flush, "sql_flush", _emptying).start()
        patch.object(flush, "emit_post_migrate_signal").start()
        if connection.vendor == "postgresql":
            patch.object(type(connection.ops), "sql_flush", _deletions).start()
        return super().setup_databases(**options)

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Ends other connections first, because Postgres cannot drop a database in use.

        Communicators of Channels keep the connections of worker threads open, so that tests can
        share theirs.
        """
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        super().teardown_databases(old_config, **options)

    def get_resultclass(self) -> Any:
        """Returns Django's class for `--debug-sql` and `--pdb`, which are interactive."""
        return super().get_resultclass() or Result

    def suite_result(self, suite: Any, result: Any, **options: Any) -> int:
        """Prints the summary line last and returns the number of failures."""
        print(closing_line(result), flush=True)  # noqa: T201 - a runner writes to the terminal
        return super().suite_result(suite, result, **options)


def closing_line(result: unittest.TestResult) -> str:
    """Returns a summary such as "12 passed, 1 failed, 2 skipped".

    A test with several failing subtests counts as one failure; so does a class whose set-up failed
    or that was skipped.
    """
    failed = {_name(test) for test, _ in [*result.failures, *result.errors]}
    failed |= {_name(test) for test in result.unexpectedSuccesses}
    skipped = {_name(test) for test, _ in result.skipped} - failed
    not_a_test = {name for name in failed | skipped if name.startswith(("setUp", "tearDown"))}
    passed = result.testsRun - len((failed | skipped) - not_a_test)
    return f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped"


def _emptying(style: Any, database: Any, **options: Any) -> list[str]:
    """Returns statements that empty all tables but `FILLED`."""
    tables = database.introspection.django_table_names(only_existing=True, include_views=False)
    emptied = sorted({*tables} - FILLED - {"calls_auditentry"})
    statements: list[str] = database.ops.sql_flush(style, emptied, **options)
    return [*statements, *_emptying_of_audit(database)]


def _emptying_of_audit(database: Any) -> list[str]:
    """Returns statements that drop the triggers of the audit for the deletion. None if it has no
    rows, because a change of the schema takes longer than most tests.
    """
    from calls.models.audit import protection  # models, which need Django to be set up

    with database.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {protection.TABLE} LIMIT 1")  # noqa: S608 - our own name
        if cursor.fetchone() is None:
            return []
    vendor = database.vendor
    delete = f"DELETE FROM {protection.TABLE}"  # noqa: S608 - our own name
    return [*protection.REMOVE[vendor], delete, *protection.ADD[vendor]]


def _deletions(operations: Any, _: Any, tables: list[str], **__: Any) -> list[str]:
    """Like TRUNCATE, the lock waits for transactions that are still writing."""
    names = [operations.quote_name(table) for table in tables]
    lock = f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE"
    return [lock, *(f"DELETE FROM {name}" for name in names)]  # noqa: S608 - names of our tables


def _each(tests: unittest.TestSuite | unittest.TestCase) -> Iterator[unittest.TestCase]:
    if isinstance(tests, unittest.TestCase):
        yield tests
        return
    for test in tests:
        yield from _each(test)


def _name(test: unittest.TestCase) -> str:
    """Returns the id of a test, of a subtest's test, or "setUpClass (…)" for a failed set-up."""
    name = test.id()
    return name if name.startswith(("setUp", "tearDown")) else name.split(" ")[0]
