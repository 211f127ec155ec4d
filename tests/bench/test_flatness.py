"""The course of a long run, and the cores of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import TestCase

from bench import cores
from bench.cores import Cost
from bench.flatness import by_minute, insist_on_room
from bench.scale import cores_for
from bench.step import Moment


class Course(TestCase):
    def test_each_minute_has_its_own_cost(self) -> None:
        cpu = 0.0
        moments = []
        for second in range(181):
            cpu += 0.5 if second > 120 else 0.25  # the third minute costs twice as much
            moments.append(Moment(float(second), Cost(cpu, second * 1_000_000), Cost()))
        course = by_minute(moments, calls=100)
        self.assertEqual([one["minute"] for one in course], [1, 2, 3])
        self.assertEqual([round(one["cpu_us"], 3) for one in course], [25.0, 25.0, 50.0])
        self.assertEqual([one["resident_mb"] for one in course], [60.0, 120.0, 180.0])

    def test_a_run_that_the_disk_cannot_hold_is_not_started(self) -> None:
        insist_on_room(1, 1)
        with self.assertRaises(SystemExit):
            insist_on_room(1_000_000, 10_000)


class Cores(TestCase):
    def test_each_process_has_a_core_if_one_is_left_for_the_load(self) -> None:
        self.assertEqual(cores_for(2, [0, 1, 2]), [{0}, {1}])
        self.assertEqual(cores_for(2, [0, 1]), [{0}, {0}])
        self.assertEqual(cores_for(1, [0]), [{0}])

    def test_a_started_process_stays_on_its_core_and_the_harness_does_not(self) -> None:
        before = os.sched_getaffinity(0)
        with cores.pinned(cores.SERVER):
            print_affinity = "import os; print(*os.sched_getaffinity(0))"
            done = subprocess.run(
                [sys.executable, "-c", print_affinity], capture_output=True, text=True, check=True
            )
        self.assertEqual({int(core) for core in done.stdout.split()}, cores.SERVER)
        self.assertEqual(os.sched_getaffinity(0), before)

    def test_the_cost_of_a_process_includes_its_children(self) -> None:
        busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
        line = [sys.executable, "-c", parent]
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout, "it is a pipe"
            process.stdout.readline()
            cost = cores.cost_of([process.pid])
        self.assertEqual(cost.processes, 2)
        self.assertGreater(cost.children_seconds, 0.2)
        self.assertGreaterEqual(cost.cpu_seconds, cost.children_seconds)
