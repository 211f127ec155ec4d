"""The trials of `make torture`: hangs are ended, child processes count, nothing is left behind."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, cast

import psutil
from django.test import SimpleTestCase, tag

from tests import servers
from tests.servers import ROOT, Server
from tests.torture import memory
from tests.torture.__main__ import INTERRUPTED, options, trials, try_fault
from tests.torture.databases import Database
from tests.torture.faults import FAULTS
from tests.torture.installation import Installation, has_ended
from tests.torture.trial import Fault, Trial
from tests.waiting import PAUSE_SECONDS

PARENT = """
import subprocess, sys
wait = "import sys; print(1, flush=True); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", wait], stdin=subprocess.PIPE)
child.wait()
"""
"""Its child ends with it, because its pipe closes."""
STUBBORN = PARENT.replace("sys.stdin.read()", "import time; time.sleep(3600)")


class NoDatabase:
    """A database for installations that are never started."""

    name = "none"

    def fresh(self) -> str:
        return "sqlite:///:memory:"

    def query(self, url: str, statement: str) -> list[Sequence[Any]]:
        raise AssertionError("no query is expected")

    def close(self) -> None:
        pass


class ParentServer:
    """A stand-in for a server with a child process."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert self.process.stdout
        self.process.stdout.readline()  # the child has started
        self.runs = True
        self.log = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        self.runs = False
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


class ServerWithAChildTests(SimpleTestCase):
    def test_is_measured_with_it(self) -> None:
        self.have(PARENT)
        alone = self.process.memory_info().rss
        self.assertGreater(memory.memory_bytes(self.process), alone)
        self.assertEqual(len(memory.family(self.process)), 2)
        self.assertGreater(memory.threads(self.process), self.process.num_threads())
        self.assertGreater(memory.descriptors(self.process), self.process.num_fds())

    def test_is_killed_without_it(self) -> None:
        self.have(PARENT)
        (child,) = self.process.children()
        self.site.freeze()
        self.assertEqual(self.process.status(), psutil.STATUS_STOPPED)
        self.assertNotEqual(child.status(), psutil.STATUS_STOPPED)
        self.server.kill()
        self.assertEqual(asyncio.run(self.site.stop()), [])
        self.assertTrue(has_ended(child))

    def test_loses_its_power_with_it(self) -> None:
        self.have(STUBBORN)
        everyone = memory.family(self.process)
        self.site.cut_power(
            lambda: self.assertEqual(
                {each.status() for each in everyone}, {psutil.STATUS_STOPPED}, "they are stopped"
            )
        )
        self.assertTrue(all(has_ended(each) for each in everyone))

    def test_that_outlives_it_is_a_finding(self) -> None:
        self.have(STUBBORN)
        (child,) = self.process.children()
        self.site.orphan_seconds = 0.5
        found = asyncio.run(self.site.stop())
        self.assertIn("a child was running", "".join(found))
        self.assertTrue(has_ended(child))

    def have(self, program: str) -> None:
        self.server = ParentServer(program)
        self.process = psutil.Process(self.server.pid)
        self.site = Installation("uvicorn", cast("Database", NoDatabase()))
        self.site.server = cast("Server", self.server)
        self.site.servers = [self.site.server]
        self.addCleanup(self.site.remove)
        self.addCleanup(lambda: asyncio.run(self.site.stop()))


class TrialTests(SimpleTestCase):
    def test_that_hangs_is_ended_with_a_finding(self) -> None:
        async def inject(trial: Trial) -> None:
            await asyncio.Event().wait()

        self.assertEqual(self.findings_of(inject), ["not finished after 0 s"])

    def test_that_hangs_outside_the_event_loop_is_ended_too(self) -> None:
        async def inject(trial: Trial) -> None:
            while True:
                pass

        self.assertEqual(self.findings_of(inject), ["not finished after 0 s"])

    def test_that_fails_is_a_finding(self) -> None:
        async def inject(trial: Trial) -> None:
            raise TimeoutError("no answer")

        self.assertEqual(self.findings_of(inject), ["TimeoutError: no answer"])

    def findings_of(self, inject: Any) -> list[str]:
        trial = Trial("uvicorn", cast("Database", NoDatabase()), Random(1), rounds=1, long=False)
        trial.limit_seconds = 0.1
        asyncio.run(trial.run(Fault("of a test", "", inject)))
        return trial.findings.broken


class RunTests(SimpleTestCase):
    def test_resumes_from_a_fault(self) -> None:
        names = [
            fault.name
            for fault, *_ in trials(options().parse_args(["--long", "--from", "evil-ids"]))
        ]
        self.assertEqual(names[0], "evil-ids")
        self.assertEqual(names[-1], list(FAULTS)[-1])
        self.assertNotIn("kill-9", names)

    def test_a_row_is_the_same_in_every_selection(self) -> None:
        moments: list[float] = []

        async def inject(trial: Trial) -> None:
            moments.append(trial.random.random())

        fault = Fault("of a test", "", inject)
        for arguments in ((), ("--from", "evil-ids")):
            self.row_of(fault, options().parse_args(arguments))
        self.assertEqual(moments[0], moments[1])

    def test_reports_missing_programs(self) -> None:
        async def inject(trial: Trial) -> None:
            raise AssertionError("it must not run")

        row = self.row_of(Fault("of a test", "", inject, missing=lambda: "no such program"))
        self.assertEqual(row.verdict, "skipped: no such program")

    def test_fails_in_ci_if_a_program_is_missing(self) -> None:
        def missing() -> str:
            raise AssertionError("no such program, and CI=true allows no skips")

        async def inject(trial: Trial) -> None:
            raise AssertionError("it must not run")

        self.assertEqual(
            self.row_of(Fault("of a test", "", inject, missing=missing)).verdict, "BROKEN"
        )

    def test_starts_servers_on_ports_outside_the_ephemeral_range(self) -> None:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        self.assertLess(max(servers.free_port() for _ in range(200)), lowest)

    def row_of(self, fault: Fault, args: argparse.Namespace | None = None) -> Any:
        args = args or options().parse_args([])
        return asyncio.run(
            try_fault(fault, "uvicorn", "none", {"none": cast("Database", NoDatabase())}, 7, args)
        )


@tag("once")
class InterruptedRunTests(SimpleTestCase):
    def test_leaves_nothing_behind(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        command = [
            sys.executable,
            "-m",
            "tests.torture",
            "--fault",
            "sigterm",
            "--server",
            "uvicorn",
        ]
        environment = {**os.environ, "TMPDIR": folder.name}
        run = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(run.kill)
        started = self.server_of(run)
        run.send_signal(signal.SIGTERM)
        printed, _ = run.communicate()
        self.assertEqual(run.returncode, INTERRUPTED)
        self.assertIn("interrupted (seed", printed)
        self.assertTrue(has_ended(started))
        self.assertEqual(list(Path(folder.name).iterdir()), [])

    def server_of(self, run: subprocess.Popen[str]) -> psutil.Process:
        """Waits until the run has started the server; returns its process."""
        while run.poll() is None:
            for child in psutil.Process(run.pid).children():
                with suppress(psutil.NoSuchProcess):
                    if "uvicorn" in child.cmdline():
                        return child
            time.sleep(PAUSE_SECONDS)
        raise AssertionError("the run ended without a server")
