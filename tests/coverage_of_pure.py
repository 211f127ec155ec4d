"""Coverage of every PURE module, in full, by its own tests: `python -m tests.coverage_of_pure`.

A branch that a module's own tests do not reach is not tested, even if another test passes through
it. The list is derived: a module whose docstring has the word PURE is tested by the modules
`test_<name>*.py` in the mirrored folder of `tests/`, and by those in `SHARED`.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent

SHARED = {
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
        "tests.streams.timeline.test_strays",
    ),
    "streams/timeline/track.py": (
        "tests.streams.timeline.test_call_clock",
        "tests.streams.timeline.test_call_clock_edges",
        "tests.streams.timeline.test_call_clock_faults",
        "tests.streams.timeline.test_call_clock_steps",
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


def main() -> int:
    """Prints a line for each module; returns 1 if one is not covered or its tests fail."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        missed = list(threads.map(missing, PURE))
    for module, report in zip(PURE, missed, strict=True):
        print(f"{module}: {report or 'every branch'}")  # noqa: T201 - a command's answer
    return int(any(missed))


def missing(module: str) -> str:
    """Coverage's report of the branches that the module's own tests miss; "" if there are none."""
    if not PURE[module]:
        return "has no tests of its own"
    with TemporaryDirectory(prefix="acsmedia-coverage-") as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "coverage")}
        tests = _coverage(environment, "run", "manage.py", "test", *PURE[module])
        if tests.returncode:
            return f"its tests fail\n{tests.stderr[-2000:]}"
        _coverage(environment, "combine", "--quiet", folder)
        report = _coverage(environment, "report", "--fail-under=100", f"--include={module}")
    return report.stdout + report.stderr if report.returncode else ""


def _coverage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
