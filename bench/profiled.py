"""Runs a server with a sampler that attributes the CPU of its main thread to parts of the code.

    python -m bench.profiled uvicorn …       as `python -m uvicorn …`

At each tick of the kernel during which the process runs it is interrupted (SIGPROF), and the top
frame is counted; the counts divide the CPU of the main thread. Python handles the signal between
two instructions: after a call into C the caller is still the top frame, so C counts for its caller;
and work before a function's first instruction counts for its caller, or for the server, which is
often C. Unlike cProfile it does not slow down calls.

SIGUSR1 resets the counts; SIGUSR2 writes them to BENCH_PROFILE, with the CPU of every other thread.
"""

from __future__ import annotations

import dis
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.000_02
"""CPU time, far less than a tick. With a longer interval short pieces of work would be missed and
long ones overcounted.
"""
SERVER = "server"
PARTS = {
    "streams/acs/messages.py": "decode",
    "streams/journal/files.py": "journal",
    "streams/journal/records.py": "journal",
    "streams/ingest/meter.py": "meter",
    "calls/audio/levels.py": "meter",
    "streams/ingest/stream.py": "stream",
    "streams/acs/consumer.py": "stream",
    "streams/live/board.py": "board",
    "streams/recorder.py": "board",
    "calls/live/channel.py": "board",
    "calls/live/consumer.py": "dashboards",
    "calls/live/view.py": "dashboards",
    "calls/live/outbox.py": "dashboards",
}
"""Names of the parts by file. A frame in another file (msgspec, redis) counts for the first known
frame below it.
"""

_ROOT = f"{Path(__file__).resolve().parent.parent}/"
_RESUME = dis.opmap["RESUME"]


class Sampler:
    """Must be `install`ed in the main thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._samples: Counter[str] = Counter()
        self._before: dict[str, float] = {}
        self._began = time.thread_time()

    def install(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._write)
        for number in (signal.SIGPROF, signal.SIGUSR1, signal.SIGUSR2):
            signal.siginterrupt(number, False)  # noqa: FBT003 - positional only
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        self._samples[part_of(frame)] += 1

    def _begin(self, _number: int, _frame: FrameType | None) -> None:
        self._samples.clear()
        self._before = cpu_of_other_threads()
        self._began = time.thread_time()

    def _write(self, _number: int, _frame: FrameType | None) -> None:
        parts = divided(time.thread_time() - self._began, self._samples)
        now = cpu_of_other_threads()
        threads = {name: seconds - self._before.get(name, 0.0) for name, seconds in now.items()}
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"rooms": parts, "threads": threads}))
        partial.rename(self._path)


def divided(seconds: float, samples: Mapping[str, int]) -> dict[str, float]:
    """Divides the CPU of the main thread by the sample counts of each part."""
    total = sum(samples.values())
    return {part: seconds * count / total for part, count in samples.items()}


def part_of(frame: FrameType | None) -> str:
    """Returns the part that a frame belongs to."""
    if frame is not None and _is_at_its_beginning(frame):
        frame = frame.f_back
    while frame is not None:
        part = PARTS.get(frame.f_code.co_filename.removeprefix(_ROOT))
        if part:
            return part
        frame = frame.f_back
    return SERVER


def cpu_of_other_threads() -> dict[str, float]:
    """Returns seconds by the thread's name without its number."""
    found: defaultdict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.ident is not None:
            clock = time.pthread_getcpuclockid(thread.ident)
            found[thread.name.rstrip("0123456789-_ ")] += time.clock_gettime(clock)
    return dict(found)


def _is_at_its_beginning(frame: FrameType) -> bool:
    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _RESUME


def main() -> None:
    server = sys.argv[1]
    sys.argv = sys.argv[1:]
    Sampler(Path(os.environ["BENCH_PROFILE"])).install()
    runpy.run_module(server, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
