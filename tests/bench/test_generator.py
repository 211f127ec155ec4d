"""The generator against a server that only reads: everything arrives on time."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from unittest import TestCase

from django.test import tag

from bench.load import Load, Report
from bench.plan import CallPlan, LoadPlan
from bench.subjects import Bare, compared
from tests.servers import ROOT


def small_plan(url: str, calls: int = 3) -> LoadPlan:
    """Returns a plan of half a second."""
    return LoadPlan(
        [CallPlan(index, f"bench-{index}", url, 5000 * index, 1 + index) for index in range(calls)],
        (5, 25),
    )


async def sent(plan: LoadPlan) -> Report:
    async with Load(plan) as load:
        await load.window_started()
        await load.window_ended()
        return await load.report()


@tag("once")
class AgainstRawSockets(TestCase):
    def test_every_byte_arrives_and_the_report_counts_it(self) -> None:
        with Bare([sys.executable, "-m", "bench.raw", "PORT"]) as server:
            report = asyncio.run(sent(small_plan(server.media_url)))
            self.assertEqual(report.broken, {})
            self.assertEqual(report.window_packets, 3 * 2 * 20)
            self.assertEqual(server.figures()["bytes"], report.bytes_sent)

    def test_a_server_that_decodes_finds_every_packet(self) -> None:
        with Bare(
            [sys.executable, "-m", "uvicorn", "--port", "PORT", "bench.bare:application"]
        ) as server:
            report = asyncio.run(sent(small_plan(server.media_url)))
            self.assertEqual(server.figures()["packets"], report.packets_sent)

    def test_a_refused_call_is_broken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            refusing = threading.Thread(target=refuse_one, args=(listening,))
            refusing.start()
            report = asyncio.run(
                sent(small_plan(f"ws://127.0.0.1:{listening.getsockname()[1]}/media", calls=1))
            )
            refusing.join()
        self.assertEqual(report.broken, {"0": "refused: 503"})
        self.assertEqual(report.packets_sent, 0)


def refuse_one(listening: socket.socket) -> None:
    """Answers as a recorder does that has no space."""
    connection, _address = listening.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


class Comparison(TestCase):
    def test_a_surplus_packet_does_not_compensate_a_lost_one(self) -> None:
        plan = small_plan("ws://a")
        calls = [{"index": index, "packets": 10, "begun_us": 0} for index in range(3)]
        reported = {
            "window_us": [0, 1],
            "window_packets": 0,
            "started_us": 0,
            "bytes_sent": 0,
            "late": [],
        }
        report = Report(plan, {**reported, "cpu_seconds": 0, "broken": {}, "calls": calls})
        self.assertEqual(compared(report, {"bench-0": 10, "bench-1": 12, "bench-2": 7}), (27, 2))
        self.assertEqual(compared(report, {"bench-0": 10}), (10, 0))


@tag("once")
class CommandLine(TestCase):
    def test_every_command_has_help(self) -> None:
        for arguments in (["--help"], ["capacity", "--help"]):
            done = subprocess.run(
                [sys.executable, "-m", "bench", *arguments],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("usage:", done.stdout)
