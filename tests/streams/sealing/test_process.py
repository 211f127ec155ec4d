"""The sealer as a process: supervised, woken, stopped, and never two on one folder."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import DEFAULT, patch
from uuid import uuid4

import msgspec
from django.test import SimpleTestCase, TransactionTestCase, tag

from calls.live.messages import Refusals
from calls.models import RaisedAlarm, RecorderProcess, RefusedHandshake, Segment, WebhookEndpoint
from streams.alarm_lines import lines_of
from streams.journal import spool
from streams.refused import NOBODY, Origin, RefusedHandshakes, rows_in
from streams.sealing.backlog_watch import BacklogWatch
from streams.sealing.process import SealerProcess
from streams.stats import Backlog
from tests.calls.notifications.webhooks.receiver import SECRET, Receiver
from tests.servers import database_url_of_the_test
from tests.streams.journals import Socket
from tests.streams.packets import speech
from tests.streams.test_alarm_lines import some_alarms
from tests.waiting import wait_until

REPORT = (
    r'{"segments_sealed":%d,"failures":{"store":1,"database":0,"journal":2},'
    r'"backlog":{"files":3,"size_bytes":4,"lag_seconds":5.5},"refused_written":0}'
)
"""A sealer's report, printed by the child process of the test."""
OLD_REPORT = REPORT.replace(',"refused_written":0', "")
"""That of a sealer from before rows of refusals and alarms were sent."""


def child(body: str, report: str = REPORT) -> list[str]:
    """Returns the command of a fake sealer: `report(n)` reports n segments, `woken()` waits to be
    woken and is False at the end of the pipe.
    """
    head = (
        "import os, sys, time\n"
        f"def report(n): print('''{report}''' % n, flush=True)\n"
        "def woken(): return bool(os.read(0, 100))\n"
    )
    return [sys.executable, "-c", head + body]


HEAR = " read = os.read(0, 4096)\n file.write(read)\n if not read: break"


@tag("once")
class Supervised(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def start(self, body: str) -> SealerProcess:
        made = SealerProcess(self.folder, self.folder / "own", child(body))
        made.start()
        self.addCleanup(made.stop, 5)
        return made

    def test_its_figures_are_those_of_its_last_report(self) -> None:
        sealer = self.start("report(1); report(7); woken()")
        expect(lambda: sealer.segments_sealed == 7)
        self.assertEqual(sealer.failures, {"store": 1, "database": 0, "journal": 2})
        self.assertEqual(sealer.backlog, Backlog(3, 4, 5.5))

    def test_a_line_that_is_no_report_is_logged_and_changes_nothing(self) -> None:
        with self.assertLogs("streams.sealing.process", "WARNING"):
            sealer = self.start("report(1); print('boo', flush=True); report(2); woken()")
            expect(lambda: sealer.segments_sealed == 2)

    def test_it_is_woken(self) -> None:
        sealer = self.start("while woken(): report(1)")
        expect(lambda: sealer._child)
        sealer.wake()
        expect(lambda: sealer.segments_sealed == 1)

    def test_it_is_told_new_refusals_and_that_it_is_stopped(self) -> None:
        heard = self.folder / "heard"
        sealer = SealerProcess(
            *(self.folder, self.folder / "own"),
            child(f"file = open({str(heard)!r}, 'ab', 0)\nwhile True:\n report(1)\n{HEAR}"),
        )
        refused = Refusals(from_acs={"expired": 1}, others={})
        sealer.refusals = lambda: refused
        sealer.start()
        self.addCleanup(sealer.stop, 5)
        expect(lambda: heard.exists() and b"expired" in heard.read_bytes())
        sealer.wake()
        sealer.stop(20)
        lines = heard.read_bytes().split(b"\n")
        self.assertEqual(msgspec.json.decode(lines[0]), refused)
        self.assertEqual(lines[1:], [b".!"], "refusals are told once")

    def test_rows_of_refusals_are_sent_until_they_are_written(self) -> None:
        heard = self.folder / "heard"
        body = f"file = open({str(heard)!r}, 'ab', 0)\nwhile True:\n report(1)\n{HEAR}"
        sealer = SealerProcess(self.folder, self.folder / "own", child(body))
        handshakes = RefusedHandshakes(uuid4())
        handshakes.add("expired", from_acs=True, origin=Origin("10.0.0.1", "a.!"), now=1e9)
        sealer.refused = handshakes
        with self.assertLogs("streams.sealing.process", "ERROR"):
            sealer.start()
            self.addCleanup(sealer.stop, 5)
            expect(lambda: heard.exists() and heard.read_bytes().count(b"\n") == 1)
            first = sealer._child
            assert first
            first.kill()
            expect(lambda: heard.read_bytes().count(b"\n") == 2)
        one, two, _rest = heard.read_bytes().split(b"\n")
        self.assertEqual(rows_in(one), rows_in(two))
        self.assertEqual(rows_in(one), handshakes.unwritten())

    def test_rows_that_are_written_are_confirmed(self) -> None:
        told = REPORT.replace('written":0', 'written":1') % 1
        sealer = SealerProcess(
            *(self.folder, self.folder / "own"),
            child(f"while True:\n print({told!r}, flush=True)\n if not woken(): break"),
        )
        handshakes = RefusedHandshakes(uuid4())
        handshakes.add("expired", from_acs=True, origin=NOBODY, now=1e9)
        sealer.refused = handshakes
        sealer.start()
        self.addCleanup(sealer.stop, 5)
        expect(lambda: not handshakes.unwritten())

    def test_it_is_sent_the_alarms_when_they_change_and_again_after_a_restart(self) -> None:
        heard = self.folder / "heard"
        body = f"file = open({str(heard)!r}, 'ab', 0)\nwhile True:\n report(1)\n{HEAR}"
        sealer = SealerProcess(self.folder, self.folder / "own", child(body))
        active = some_alarms(1)
        sealer.alarms = lambda: active
        with self.assertLogs("streams.sealing.process", "ERROR"):
            sealer.start()
            self.addCleanup(sealer.stop, 5)
            expect(lambda: heard.exists() and heard.read_bytes() == b"".join(lines_of(active)))
            assert sealer._child
            sealer._child.kill()
            expect(lambda: heard.read_bytes().count(b"\n") == 2)
        active = some_alarms(30)
        sealer.wake()  # the child reports after it has read
        expect(lambda: heard.read_bytes().endswith(b"".join(lines_of(active))))

    def test_one_of_the_version_before_is_sent_only_lines_that_it_knows(self) -> None:
        heard = self.folder / "heard"
        body = f"file = open({str(heard)!r}, 'ab', 0)\nwhile True:\n report(1)\n{HEAR}"
        sealer = SealerProcess(self.folder, self.folder / "own", child(body, OLD_REPORT))
        handshakes = RefusedHandshakes(uuid4())
        handshakes.add("expired", from_acs=True, origin=NOBODY, now=1e9)
        refused = Refusals(from_acs={"expired": 1}, others={})
        sealer.refusals, sealer.refused = lambda: refused, handshakes
        sealer.alarms = lambda: some_alarms(1)
        sealer.start()
        self.addCleanup(sealer.stop, 5)
        expect(lambda: heard.exists() and heard.read_bytes())
        for dots in (b"\n.", b"\n..", b"\n..."):
            sealer.wake()
            expect(partial(lambda end: heard.read_bytes().endswith(end), dots))
        sealer.stop(20)
        self.assertEqual(heard.read_bytes(), msgspec.json.encode(refused) + b"\n...!")
        self.assertEqual(len(handshakes.unwritten()), 1, "they wait for a sealer that takes them")

    def test_waking_a_child_that_does_not_read_does_not_block(self) -> None:
        sealer = self.start("time.sleep(60)")
        expect(lambda: sealer._child)
        for _ in range(100_000):  # more than a pipe holds
            sealer.wake()
        sealer.stop(0)  # it does not notice that either

    def test_waking_it_before_it_has_started_is_harmless(self) -> None:
        SealerProcess(self.folder, self.folder).wake()

    def test_a_child_that_dies_is_restarted_and_its_figures_are_kept(self) -> None:
        with self.assertLogs("streams.sealing.process", "ERROR"):
            sealer = self.start("report(5); woken()")
            expect(lambda: sealer.segments_sealed == 5)
            first = sealer._child
            assert first
            first.kill()
            expect(lambda: sealer._child is not first)
            expect(lambda: sealer.segments_sealed == 10)
        self.assertEqual(sealer.failures["journal"], 4)

    def test_starting_is_retried_after_a_failure(self) -> None:
        no_descriptors = OSError(errno.EMFILE, "Too many open files")
        original = subprocess.Popen
        with (
            patch("subprocess.Popen", side_effect=[no_descriptors, DEFAULT], wraps=original),
            self.assertLogs("streams.sealing.process", "ERROR") as logged,
        ):
            sealer = self.start("report(5); woken()")
            expect(lambda: sealer.segments_sealed == 5)
        self.assertIn("sealer not started", str(logged.records[0].msg))

    def test_the_backlog_is_measured_while_no_child_runs(self) -> None:
        (self.folder / "process").mkdir()
        (self.folder / "process" / "stream.000000.journal").write_bytes(b"audio")
        with self.assertLogs("streams.sealing.process", "ERROR"):
            sealer = self.start("sys.exit(3)")
            expect(lambda: sealer.backlog.files == 1)
        self.assertEqual(sealer.backlog.size_bytes, 5)

    def test_the_backlog_is_measured_beside_the_sealer(self) -> None:
        watch = BacklogWatch(self.folder, self.folder / "own")
        self.assertEqual(watch.backlog().files, 0)
        (self.folder / "process").mkdir()
        (self.folder / "process" / "stream.000000.journal").touch()
        expect(lambda: watch.backlog().files == 1)

    def test_it_ends_when_it_is_stopped(self) -> None:
        sealer = self.start("woken()")
        expect(lambda: sealer._child)
        self.assertTrue(sealer.stop(20))
        assert sealer._child
        self.assertEqual(sealer._child.returncode, 0)

    def test_a_child_that_hangs_is_killed(self) -> None:
        sealer = self.start("time.sleep(60)")
        expect(lambda: sealer._child)
        self.assertTrue(sealer.stop(0.1))
        assert sealer._child
        self.assertEqual(sealer._child.returncode, -signal.SIGKILL)

    def test_after_stop_no_child_is_started(self) -> None:
        sealer = SealerProcess(self.folder, self.folder, child("woken()"))
        sealer.stop(1)
        sealer._supervise()
        self.assertIsNone(sealer._child)


@tag("once")
class RealSealer(TransactionTestCase):
    """`python -m streams.sealing.process` on the database of the test."""

    def setUp(self) -> None:
        self.spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
        self.own = spool.claim(self.spool)
        self.addCleanup(self.own.release)
        before = os.environ.get("DATABASE_URL")
        os.environ["DATABASE_URL"] = database_url_of_the_test()
        self.addCleanup(restore, before)

    def start(self) -> SealerProcess:
        sealer = SealerProcess(self.spool, self.own.path)
        sealer.start()
        self.addCleanup(sealer.stop, 20)
        return sealer

    def test_it_seals_finished_journals(self) -> None:
        Socket(self.own.path).say(speech(100)).close()
        sealer = self.start()
        sealer.wake()
        expect(lambda: sealer.segments_sealed)
        expect(lambda: Segment.objects.count() == sealer.segments_sealed)
        self.assertEqual(list(self.own.path.glob("*.journal")), [])

    def test_its_folder_is_not_taken_over_before_it_is_gone(self) -> None:
        sealer = self.start()
        expect(lambda: is_locked(self.own.path / spool.SEALER_LOCK))
        assert sealer._child
        os.kill(sealer._child.pid, signal.SIGSTOP)  # as if it hung, when its recorder dies
        self.own.release()
        self.assertEqual(list(spool.abandoned(self.spool)), [])
        os.kill(sealer._child.pid, signal.SIGCONT)
        sealer.stop(20)
        (found,) = spool.abandoned(self.spool)
        found.release(remove_empty=True)
        self.assertFalse(self.own.path.exists())
        self.own = spool.claim(self.spool)

    def test_its_row_has_refusals_and_is_deleted_when_it_is_stopped(self) -> None:
        sealer = SealerProcess(self.spool, self.own.path)
        sealer.refusals = lambda: Refusals(from_acs={}, others={"no_header": 3})
        sealer.start()
        self.addCleanup(sealer.stop, 20)
        expect(lambda: RecorderProcess.objects.filter(refusals__others__no_header=3).exists())
        sealer.stop(20)
        self.assertFalse(RecorderProcess.objects.exists())

    def test_alarms_become_rows_and_are_cleared_when_it_is_stopped(self) -> None:
        sealer = SealerProcess(self.spool, self.own.path)
        active = some_alarms(50)
        sealer.alarms = lambda: active
        sealer.start()
        self.addCleanup(sealer.stop, 20)
        expect(lambda: RaisedAlarm.objects.filter(cleared_at=None).count() == 50)
        active = active[:1]
        expect(lambda: RaisedAlarm.objects.filter(cleared_at=None).count() == 1)
        self.assertEqual(RaisedAlarm.objects.get(cleared_at=None).origin, self.own.path.name)
        sealer.stop(20)
        stopped = RaisedAlarm.objects.get(detail__ended="process_stopped")
        self.assertEqual(str(stopped.call_id), active[0]["call"])
        self.assertFalse(RaisedAlarm.objects.filter(cleared_at=None).exists())

    def test_its_worker_delivers_events_to_other_systems(self) -> None:
        with Receiver() as receiver, patch.dict("os.environ", WEBHOOKS_TO_PRIVATE_ADDRESSES="true"):
            WebhookEndpoint.objects.create(url=receiver.url, secret=SECRET)
            sealer = SealerProcess(self.spool, self.own.path)
            active = some_alarms(1)
            sealer.alarms = lambda: active
            sealer.start()
            self.addCleanup(sealer.stop, 20)
            expect(lambda: receiver.requests)
            event = receiver.requests[0].event
            self.assertEqual(
                (event["type"], event["data"]["name"]), ("alarm.raised", "odd_timestamp")
            )
            sealer.stop(20)

    def test_it_writes_the_refusals_of_the_last_moment(self) -> None:
        sealer = self.start()
        expect(RecorderProcess.objects.exists)  # the next report of refusals is 5 s away
        expect(lambda: sealer._takes_rows)
        handshakes = RefusedHandshakes(uuid4())
        for number in range(200):
            origin = Origin("10.0.0.1", f"connection.{number}!")
            handshakes.add("expired", from_acs=True, origin=origin, now=1e9)
        sealer.refused = handshakes
        sealer.stop(20)
        self.assertEqual(RefusedHandshake.objects.count(), 200)
        row = RefusedHandshake.objects.get(call_connection_id="connection.7!")
        self.assertEqual((row.reason, row.count), ("expired", 1))

    def test_all_its_modules_are_imported_before_collections_leave_them_out(self) -> None:
        names = ["calls.worker.worker", "calls.worker.jobs", "streams.sealing.failures"]
        script = (
            "import gc, os, sys\nfrom pathlib import Path\n"
            "from streams.sealing.process import main\n"
            f"def freeze(): os._exit(0 if sys.modules.keys() >= set({names}) else 3)\n"
            "gc.freeze = freeze\nmain(*map(Path, sys.argv[1:]))"
        )
        command = [sys.executable, "-c", script, str(self.spool), str(self.own.path)]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "acsmedia.settings"}
        ended = subprocess.run(command, env=environment, timeout=60, check=False)
        self.assertEqual(ended.returncode, 0)

    def test_a_recorder_that_dies_leaves_its_row(self) -> None:
        sealer = self.start()
        expect(RecorderProcess.objects.exists)
        assert sealer._child
        assert sealer._child.stdin
        sealer._stopping.set()
        sealer._child.stdin.close()
        sealer._child.wait(20)
        self.assertTrue(RecorderProcess.objects.exists())

    def test_two_never_work_on_the_same_folder(self) -> None:
        self.start()
        expect(lambda: is_locked(self.own.path / spool.SEALER_LOCK))
        with self.assertLogs("streams.sealing.process", "ERROR") as logged:
            self.start()  # reports nothing, ends, and is restarted
            expect(lambda: logged.records)
        self.assertIn("'code': 1", str(logged.records[0].msg))


def is_locked(path: Path) -> bool:
    """Whether the lock is held; it is not acquired."""
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def expect(answer: Callable[[], object]) -> None:
    wait_until(answer, what=lambda: "the sealer")


def restore(database_url: str | None) -> None:
    if database_url is None:
        del os.environ["DATABASE_URL"]
    else:
        os.environ["DATABASE_URL"] = database_url
