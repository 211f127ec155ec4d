"""The attribution of samples."""

from __future__ import annotations

import sys
import threading
import time
from types import CodeType, FrameType
from unittest import TestCase

from bench.figures import Figures
from bench.profile import parts_of
from bench.profiled import PARTS, SERVER, cpu_of_other_threads, divided, part_of
from calls.audio.levels import level_of
from streams.ingest.meter import Meter
from tests.servers import ROOT


def frame_of(code: CodeType) -> FrameType:
    """Returns the frame at the first line of a function of that code, which must call only
    functions that are given.
    """
    found: list[FrameType] = []

    def trace(frame: FrameType, event: str, _argument: object) -> object:
        if frame.f_code is code and event == "line" and not found:
            found.append(frame)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type] # a tracer that keeps tracing
    try:
        level_of(bytes(640))
    finally:
        sys.settrace(before)
    return found[0]


class PartTests(TestCase):
    def test_every_part_is_a_file_of_the_project(self) -> None:
        for name in PARTS:
            self.assertTrue((ROOT / name).exists(), name)

    def test_the_first_known_file_from_the_top_gets_the_time(self) -> None:
        self.assertEqual(part_of(frame_of(level_of.__code__)), "meter")

    def test_frames_without_a_known_file_count_for_the_server(self) -> None:
        self.assertEqual(part_of(sys._getframe()), SERVER)
        self.assertEqual(part_of(None), SERVER)

    def test_time_before_the_first_instruction_counts_for_the_caller(self) -> None:
        """Tested with the frame of a generator that has not started."""

        def listening() -> object:
            yield

        suspended = listening()
        self.assertEqual(part_of(suspended.gi_frame), SERVER)  # type: ignore[attr-defined]


class Threads(TestCase):
    def test_cpu_of_other_threads_is_reported_by_name_without_number(self) -> None:
        worked, over = threading.Event(), threading.Event()

        def work() -> None:
            until = time.thread_time() + 0.02
            meter = Meter(16_000)
            while time.thread_time() < until:
                meter.add(bytes(640))
            worked.set()
            over.wait()

        workers = [
            threading.Thread(target=work, name=f"bench-worker_{number}") for number in range(2)
        ]
        for worker in workers:
            worker.start()
        worked.wait()
        self.assertGreaterEqual(cpu_of_other_threads()["bench-worker"], 0.02)
        over.set()
        for worker in workers:
            worker.join()


class Parts(TestCase):
    def test_samples_divide_the_cpu_of_the_main_thread(self) -> None:
        self.assertEqual(divided(2.0, {"server": 30, "decode": 10}), {"server": 1.5, "decode": 0.5})
        self.assertEqual(divided(2.0, {}), {})

    def test_seconds_become_microseconds_per_packet_and_nothing_is_lost(self) -> None:
        figures = Figures("ours-uvicorn", 10, 30, packets_measured=1_000_000, cpu_us=9.0)
        sampled = {
            "rooms": {"server": 5.0, "decode": 2.0},
            "threads": {"journal-syncer": 1.0, "idle": 0.0},
        }
        self.assertEqual(
            parts_of(sampled, figures, 1.0),
            {
                "server": 5.0,
                "decode": 2.0,
                "thread journal-syncer": 1.0,
                "child processes": 1.0,
                "sum": 9.0,
                "all, by /proc": 9.0,
            },
        )
