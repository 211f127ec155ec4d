"""Holds every pure module to full branch coverage by its own test file alone: `python -m
tests.coverage_of_pure`.

What a module's own tests do not reach is not tested, even if some other test happens to pass
through it.
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
    "streams/acs/messages.py": "tests.streams.acs.test_messages",
    "streams/timeline/timeline.py": "tests.streams.timeline.test_timeline "
    "tests.streams.timeline.test_timeline_order"
    " tests.streams.timeline.test_fast_path",
    "streams/timeline/track.py": "tests.streams.timeline.test_timeline "
    "tests.streams.timeline.test_timeline_order",
    "streams/timeline/fast_path.py": "tests.streams.timeline.test_fast_path",
    "streams/timeline/duplicates.py": "tests.streams.timeline.test_duplicates",
    "streams/sealing/digest.py": "tests.streams.sealing.test_digest",
    "streams/sealing/overlaps.py": "tests.streams.sealing.test_overlaps",
    "streams/live/alarm_rules.py": "tests.streams.live.test_alarm_rules",
    "streams/ingest/meter.py": "tests.streams.ingest.test_meter",
    "calls/identity.py": "tests.calls.test_identity",
    "calls/audio/codec.py": "tests.calls.audio.test_codec",
    "calls/live/outbox.py": "tests.calls.live.test_outbox",
    "calls/live/alarms.py": "tests.calls.live.test_alarms",
    "calls/live/listeners.py": "tests.calls.live.test_listeners",
    "calls/live/view.py": "tests.calls.live.test_view",
    "calls/export/axis.py": "tests.calls.export.test_axis",
    "calls/http/byte_ranges.py": "tests.calls.http.test_byte_ranges",
    "calls/export/plan.py": "tests.calls.export.test_plan",
    "streams/simulator/scenario/faults.py": "tests.streams.simulator.scenario.test_faults",
    "streams/simulator/wire.py": "tests.streams.simulator.test_wire",
}
"""Module -> its own tests, one module or several."""


def main() -> int:
    """Prints one line for each module; the exit code is 1 if one is not covered or its tests
    fail.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        missed = list(threads.map(missing, PURE))
    for module, what in zip(PURE, missed, strict=True):
        print(f"{module}: {what or 'every branch'}")  # noqa: T201 - a command's answer
    return int(any(missed))


def missing(module: str) -> str:
    """What the module's own tests leave out, in the words of coverage's report; "" if that is
    nothing.
    """
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
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
