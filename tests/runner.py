"""Django's runner, with a second pass on other backends and a closing line that says what was run.

`manage.py test` runs everything. `manage.py test --again` is the pass on real Postgres and Redis:
it leaves out what cannot come out differently there, and nothing else, so that a new test is in
both passes unless somebody says so:

- the tests of the pure modules (`tests.coverage_of_pure.PURE`), which use neither database nor
  channel layer;
- tests tagged "once": pages in a browser, JavaScript, the build, servers that bring their own
  database.
"""

from __future__ import annotations

import faulthandler
import unittest
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from django.test.runner import DiscoverRunner

from tests.coverage_of_pure import PURE

ONCE = frozenset({"once", "browser", "javascript"})

HUNG_SECONDS = 300.0
"""No test takes a tenth of that. One that waits for ever ends the run, with the stacks of all
threads.
"""


class Result(unittest.TextTestResult):
    """Ends the process when a test hangs, so that nobody waits for the limit of a machine that says
    nothing of it.
    """

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        faulthandler.dump_traceback_later(
            HUNG_SECONDS, exit=True, file=2
        )  # stderr, also under --buffer

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)


class Runner(DiscoverRunner):
    """Discovers below the project's folder."""

    def __init__(
        self, *, again: bool = False, exclude_tags: Iterable[str] | None = None, **options: Any
    ) -> None:
        self._again = again
        super().__init__(exclude_tags=[*(exclude_tags or ()), *(ONCE if again else ())], **options)

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--again", action="store_true", help="Leave out what cannot differ on other backends."
        )

    def load_tests_for_label(self, label: str, discover_kwargs: dict[str, str]) -> Any:
        """The tests of a label, without those of the pure modules in a second pass."""
        tests = super().load_tests_for_label(label, discover_kwargs)
        if not self._again:
            return tests
        pure = {module for modules in PURE.values() for module in modules}
        return unittest.TestSuite(
            test for test in _each(tests) if type(test).__module__ not in pure
        )

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Ends what still holds the test database: Postgres drops none that is in use.

        Channels' communicators keep the connections of worker threads open, so that tests can share
        theirs.
        """
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        super().teardown_databases(old_config, **options)

    def get_resultclass(self) -> Any:
        """Django's own for `--debug-sql` and `--pdb`, where somebody looks on."""
        return super().get_resultclass() or Result

    def suite_result(self, suite: Any, result: Any, **options: Any) -> int:
        """The number of failures, after a closing line for whoever reads only the end."""
        print(closing_line(result), flush=True)  # noqa: T201 - the terminal is what a runner writes to
        return super().suite_result(suite, result, **options)


def closing_line(result: unittest.TestResult) -> str:
    """What became of the tests: "12 passed, 1 failed, 2 skipped".

    A test with several failing subtests is one failure; a class that could not be set up, or was
    skipped, is one too.
    """
    failed = {_name(test) for test, _ in [*result.failures, *result.errors]}
    failed |= {_name(test) for test in result.unexpectedSuccesses}
    skipped = {_name(test) for test, _ in result.skipped} - failed
    not_a_test = {name for name in failed | skipped if name.startswith(("setUp", "tearDown"))}
    passed = result.testsRun - len((failed | skipped) - not_a_test)
    return f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped"


def _each(tests: unittest.TestSuite | unittest.TestCase) -> Iterator[unittest.TestCase]:
    if isinstance(tests, unittest.TestCase):
        yield tests
        return
    for test in tests:
        yield from _each(test)


def _name(test: unittest.TestCase) -> str:
    """The id of a test, of a subtest's test, or "setUpClass (…)" of what unittest puts in its
    place.
    """
    name = test.id()
    return name if name.startswith(("setUp", "tearDown")) else name.split(" ")[0]
