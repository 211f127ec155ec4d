"""Holds every pure module to full branch coverage by its own test file alone: `python -m tests.coverage_of_pure`.

What a module's own tests do not reach is not tested, even if some other test happens to pass through it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent

PURE = {
    "streams/protocol.py": "tests.streams.test_protocol",
    "streams/timeline.py": "tests.streams.test_timeline tests.streams.test_timeline_order tests.streams.test_ordinary",
    "streams/track.py": "tests.streams.test_timeline tests.streams.test_timeline_order",
    "streams/ordinary.py": "tests.streams.test_ordinary",
    "streams/recent.py": "tests.streams.test_recent",
    "streams/sealing.py": "tests.streams.test_sealing",
    "streams/seats.py": "tests.streams.test_seats",
    "streams/alarms.py": "tests.streams.test_alarms",
    "streams/meter.py": "tests.streams.test_meter",
    "calls/identity.py": "tests.calls.test_identity",
    "calls/audio.py": "tests.calls.test_audio",
    "calls/mailbox.py": "tests.calls.test_live_mailbox",
    "calls/live_alarms.py": "tests.calls.test_live_alarms",
    "calls/live_listeners.py": "tests.calls.test_live_listeners",
    "calls/live_view.py": "tests.calls.test_live_view",
    "calls/export/axis.py": "tests.calls.test_export_axis",
    "calls/export/byteranges.py": "tests.calls.test_export_byteranges",
    "calls/export/plan.py": "tests.calls.test_export_plan",
    "streams/simulator/faults.py": "tests.streams.test_simulator_faults",
    "streams/simulator/wire.py": "tests.streams.test_simulator_wire",
}
"""Module -> its own tests, one module or several."""


def main() -> int:
    """Prints one line for each module; the exit code is 1 if one is not covered or its tests fail."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        missed = list(threads.map(missing, PURE))
    for module, what in zip(PURE, missed, strict=True):
        print(f"{module}: {what or 'every branch'}")  # noqa: T201 - a command's answer
    return int(any(missed))


def missing(module: str) -> str:
    """What the module's own tests leave out, in the words of coverage's report; "" if that is nothing."""
    with TemporaryDirectory(prefix="acsmedia-coverage-") as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "coverage")}
        tests = _coverage(environment, "run", "manage.py", "test", *PURE[module].split())
        if tests.returncode:
            return f"its tests fail\n{tests.stderr[-2000:]}"
        _coverage(environment, "combine", "--quiet", folder)
        report = _coverage(environment, "report", "--fail-under=100", f"--include={module}")
    return report.stdout + report.stderr if report.returncode else ""


def _coverage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
