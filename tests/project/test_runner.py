"""The summary line, the second pass, tests that hang, and tables after a test."""

from __future__ import annotations

import subprocess
import sys
import unittest
from io import StringIO
from unittest import SkipTest, TestCase

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.test import TransactionTestCase

from tests.runner import Runner, closing_line


class Examples(unittest.TestCase):
    """Examples that discovery does not run; the tests below select them."""

    def passes(self) -> None:
        """Nothing is wrong."""

    def fails(self) -> None:
        self.fail("as it should")

    def breaks(self) -> None:
        raise RuntimeError

    def is_skipped(self) -> None:
        self.skipTest("as it should")

    def fails_twice_in_subtests(self) -> None:
        for number in range(3):
            with self.subTest(number):
                self.assertFalse(number)

    @unittest.expectedFailure
    def passes_unexpectedly(self) -> None:
        """Nothing is wrong."""


class FailingSetUp(Examples):
    @classmethod
    def setUpClass(cls) -> None:
        raise RuntimeError


class Skipped(Examples):
    @classmethod
    def setUpClass(cls) -> None:
        raise SkipTest("as it should")


def line_of(*tests: unittest.TestCase) -> str:
    runner = unittest.TextTestRunner(stream=StringIO())
    return closing_line(runner.run(unittest.TestSuite(tests)))


class ClosingLineTests(TestCase):
    def test_each_result_is_counted_once(self) -> None:
        ends = {
            "passes": "1 passed, 0 failed, 0 skipped",
            "fails": "0 passed, 1 failed, 0 skipped",
            "breaks": "0 passed, 1 failed, 0 skipped",
            "is_skipped": "0 passed, 0 failed, 1 skipped",
            "fails_twice_in_subtests": "0 passed, 1 failed, 0 skipped",
            "passes_unexpectedly": "0 passed, 1 failed, 0 skipped",
        }
        self.assertEqual(ends, {name: line_of(Examples(name)) for name in ends})
        self.assertEqual("1 passed, 4 failed, 1 skipped", line_of(*map(Examples, ends)))

    def test_a_failing_class_is_one_failure_and_a_skipped_one_is_one_skip(self) -> None:
        self.assertEqual(
            "1 passed, 1 failed, 0 skipped", line_of(Examples("passes"), FailingSetUp("passes"))
        )
        self.assertEqual(
            "0 passed, 0 failed, 1 skipped", line_of(Skipped("passes"), Skipped("fails"))
        )


class AgainTests(TestCase):
    def test_a_second_pass_excludes_pure_modules_and_the_tag_once(self) -> None:
        pure, tagged, both = (
            "tests.streams.ingest.test_meter",
            "tests.deploy.test_compose.ComposeTests",
            "tests.project.test_machine",
        )
        found = {
            label: Runner(again=True, verbosity=0).build_suite([label]).countTestCases()
            for label in (pure, both)
        }
        self.assertEqual([0, 3], list(found.values()))
        self.assertEqual(0, Runner(again=True, verbosity=0).build_suite([tagged]).countTestCases())
        self.assertLess(0, Runner(verbosity=0).build_suite([pure]).countTestCases())


HANGING = """
import time, unittest
from tests import runner

class Hanging(unittest.TestCase):
    def hangs(self):
        time.sleep(600)

runner.HUNG_SECONDS = 0.2
unittest.TextTestRunner(resultclass=runner.Result).run(Hanging("hangs"))
"""


class HangTests(TestCase):
    def test_a_hanging_test_ends_the_run_with_its_stack(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(ended.returncode, 1)
        self.assertIn("hangs", ended.stderr)


class EmptyTables(TransactionTestCase):
    def test_after_a_test_are_all_but_those_that_migrate_fills(self) -> None:
        known = {
            model: set(model.objects.values_list("pk", flat=True))
            for model in (ContentType, Permission)
        }
        Group.objects.create(name="of this test").permissions.set(Permission.objects.all())
        call_command("flush", interactive=False, verbosity=0)  # as after each test
        self.assertFalse(Group.objects.exists())
        self.assertFalse(Group.permissions.through.objects.exists())
        for model, ids in known.items():
            self.assertTrue(ids)
            self.assertEqual(set(model.objects.values_list("pk", flat=True)), ids)
