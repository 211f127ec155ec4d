"""Coverage of every PURE module, in full, by its own tests: `python -m tests.coverage_of_pure`.

A branch that a module's own tests do not reach is not tested, even if another test passes through
it. The list is derived: a module whose docstring has the word PURE is tested by the modules
`test_<name>*.py` in the mirrored folder of `tests/`, and by those in `SHARED`.

Each module of tests runs once, in a process of its own, so that nothing counts because other tests
have imported it or filled a cache. Its process is forked from one that has imported packages of
others, which takes longer than most tests, and nothing that is measured.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast
from unittest.mock import patch

from coverage import Coverage, CoverageData
from coverage.exceptions import NoDataError

ROOT = Path(__file__).resolve().parent.parent

SHARED = {
    "calls/coverage/judging/witnesses.py": ("tests.calls.coverage.judging.test_missing_time",),
    "calls/coverage/limits.py": ("tests.calls.coverage.imports.test_records",),
    "calls/coverage/members.py": ("tests.calls.coverage.test_acs_events",),
    "calls/export/rendering.py": ("tests.calls.export.test_plan",),
    "streams/ingest/packets.py": ("tests.streams.acs.test_messages",),
    "streams/journal/records.py": (
        "tests.streams.journal.test_journal",
        "tests.streams.journal.test_journal_damage",
    ),
    "streams/sealing/overlaps/stored.py": (
        "tests.streams.sealing.overlaps.test_placement",
        "tests.streams.sealing.overlaps.test_placement_by_timestamp",
    ),
    "streams/simulator/scenario/packets.py": ("tests.streams.simulator.scenario.test_audio",),
    "streams/timeline/beginning.py": (
        "tests.streams.timeline.test_call_clock_faults",
        "tests.streams.timeline.test_strays",
    ),
    "streams/timeline/call_clock.py": (
        "tests.streams.timeline.test_strays",
        "tests.streams.timeline.test_timeline_order",
    ),
    "streams/timeline/decided.py": ("tests.streams.timeline.test_timeline",),
    "streams/timeline/late_packets.py": (
        "tests.streams.timeline.test_call_clock_faults",
        "tests.streams.timeline.test_call_clock_steps",
        "tests.streams.timeline.test_timeline",
        "tests.streams.timeline.test_timeline_order",
    ),
    "streams/timeline/timeline.py": (
        "tests.streams.timeline.test_call_clock",
        "tests.streams.timeline.test_call_clock_faults",
        "tests.streams.timeline.test_call_clock_steps",
        "tests.streams.timeline.test_fast_path",
        "tests.streams.timeline.test_late_packets",
        "tests.streams.timeline.test_strays",
    ),
    "streams/timeline/track.py": (
        "tests.streams.timeline.test_call_clock",
        "tests.streams.timeline.test_call_clock_edges",
        "tests.streams.timeline.test_call_clock_faults",
        "tests.streams.timeline.test_call_clock_steps",
        "tests.streams.timeline.test_late_packets",
        "tests.streams.timeline.test_strays",
        "tests.streams.timeline.test_timeline",
        "tests.streams.timeline.test_timeline_order",
    ),
    "streams/timeline/waiting.py": (
        "tests.streams.timeline.test_strays",
        "tests.streams.timeline.test_timeline",
        "tests.streams.timeline.test_timeline_order",
    ),
}
"""Module -> tests of a neighbour that are its own as well: a track is only used by a timeline,
and rendering only with a plan.
"""

PACKAGES = (
    "coverage",
    "autobahn.websocket.protocol",
    "cryptography.x509",
    "django.contrib.postgres.fields",
    "django.test.runner",
    "django.core.handlers.asgi",
    "environs",
    "hypothesis.strategies",
    "msgspec",
    "numpy",
    "redis.asyncio",
    "soundfile",
    "soxr",
    "structlog",
)
"""Packages that most of the tests import. One that is missing here costs time only."""


def pure_modules() -> list[str]:
    """Paths of the modules whose docstring has the marker `PURE.`, relative to the project."""
    found = []
    for package in ("streams", "calls"):
        for path in sorted((ROOT / package).rglob("*.py")):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            if re.search(r"\bPURE\.", docstring):
                found.append(path.relative_to(ROOT).as_posix())
    return found


def own_tests(module: str) -> list[str]:
    """The names of the module's own test modules."""
    folder, name = Path(module).parent, Path(module).stem
    files = sorted((ROOT / "tests" / folder).glob(f"test_{name}*.py"))
    mirrored = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [*mirrored, *SHARED.get(module, ())]


PURE = {module: own_tests(module) for module in pure_modules()}
"""Module -> its own tests."""


@dataclass(frozen=True)
class Run:
    """The end of one module of tests, and what it has reached, as bytes of `CoverageData`."""

    failed: bool
    printed: str
    reached: bytes


def main() -> int:
    """Prints a line for each module; returns 1 if one is not covered or its tests fail."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    for package in PACKAGES:
        import_module(package)
    runs = dict(_runs(sorted({tests for own in PURE.values() for tests in own})))
    reports = {module: missing(module, runs) for module in PURE}
    for module, report in reports.items():
        print(f"{module}: {report or 'every branch'}")  # noqa: T201 - a command's answer
    return int(any(reports.values()))


def missing(module: str, runs: dict[str, Run]) -> str:
    """Coverage's report of the branches that the module's own tests miss; "" if there are none."""
    if not PURE[module]:
        return "has no tests of its own"
    measured = _coverage(module)
    for tests in PURE[module]:
        if runs[tests].failed:
            return f"its tests fail\n{runs[tests].printed[-2000:]}"
        reached = CoverageData(no_disk=True)
        reached.loads(runs[tests].reached)
        measured.get_data().update(reached)
    report = StringIO()
    try:
        percent = measured.report(file=report)
    except NoDataError:
        return "its tests do not import it"
    return "" if percent == 100 else report.getvalue()


def _runs(waiting: list[str]) -> Iterator[tuple[str, Run]]:
    """Runs every module of tests in a process, as many at once as there are cores."""
    processes = multiprocessing.get_context("fork")
    running: dict[Connection, str] = {}
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            receiver, sender = processes.Pipe(duplex=False)
            running[receiver] = waiting.pop(0)
            processes.Process(target=_run, args=(running[receiver], sender)).start()
            sender.close()  # or the end of the process would not end its pipe
        for ready in cast("list[Connection]", wait(list(running))):
            with ready:
                try:
                    run = ready.recv()
                except EOFError:
                    run = Run(failed=True, printed="their process died", reached=b"")
            yield running.pop(ready), run


def _run(tests: str, sender: Connection) -> None:
    """Runs a module of tests as `manage.py test` does, without system checks, and measures it."""
    import django  # not for those who import this module for `PURE`, as the runner does

    from tests.runner import Runner

    measured = _coverage(*(module for module, own in PURE.items() if tests in own))
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as printed:
        measured.start()
        django.setup()
        runner = Runner(verbosity=0, interactive=False)
        with patch.object(runner, "run_checks"):
            failures = runner.run_tests([tests])
        measured.stop()
    sender.send(Run(bool(failures), printed.getvalue(), measured.get_data().dumps()))


def _coverage(*modules: str) -> Coverage:
    """Measures modules by their path, and keeps what it finds in memory."""
    return Coverage(data_file=None, source=[], include=modules)


if __name__ == "__main__":
    sys.exit(main())
