"""Refused handshakes from the real application to their rows, with and without a recorder."""

from __future__ import annotations

import threading
import time
from unittest.mock import patch

from django.utils import timezone

from acsmedia import refusals
from acsmedia.asgi import Application
from acsmedia.refusals import RefusalWriter
from calls.models import RaisedAlarm, RefusedHandshake
from streams.acs.auth import HandshakeAuth
from streams.refused import NOBODY
from streams.sealing import sealer
from tests.streams.media_sockets import (
    CONNECTION,
    CORRELATION,
    NAMED,
    Headers,
    MediaSocketTestCase,
)
from tests.streams.spools import database_away
from tests.waiting import until

SECRET = "0123456789abcdef-the-wrong-secret"


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "refusal-writer"]


class RefusalTestCase(MediaSocketTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.began = timezone.now()  # rows of tests before may be written meanwhile

    async def refuse(self, headers: Headers = NAMED, query: str = f"token={SECRET}") -> None:
        socket = self.socket(headers, path=f"/ws/acs/media?{query}")
        socket.scope["client"] = ["20.51.10.7", 4711]
        self.assertEqual((await socket.connect(timeout=10))[0], False)
        await socket.wait(timeout=10)

    async def row(self, count: int = 1) -> RefusedHandshake:
        rows = RefusedHandshake.objects.filter(first_at__gte=self.began, count=count)
        await until(rows.aexists)
        return await rows.aget()


class WithARecorder(RefusalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.application = Application(
            self.recorder, HandshakeAuth("token", stream_token="the-right-secret")
        )
        self.enterContext(patch.object(sealer, "FAILURES_SECONDS", 0.0))

    async def test_one_of_acs_becomes_a_row_with_its_call_and_no_secret(self) -> None:
        await self.refuse()
        await self.refuse()
        row = await self.row(count=2)
        self.assertEqual((row.reason, row.from_acs), ("wrong_stream_token", True))
        self.assertEqual(row.address, "20.51.10.7")
        self.assertEqual((row.call_connection_id, row.correlation_id), (CONNECTION, CORRELATION))
        self.assertNotIn(SECRET, str(vars(row)))
        assert self.recorder._running
        self.assertEqual(str(row.process), self.recorder._running.folder.path.name)

    async def test_a_stranger_becomes_a_number(self) -> None:
        for _scan in range(20):
            await self.refuse([], "")
        row = await self.row(count=20)
        self.assertEqual((row.reason, row.from_acs), ("no_stream_token", False))
        self.assertEqual((row.address, row.call_connection_id), (None, ""))

    async def test_ids_that_cannot_be_stored_are_left_out(self) -> None:
        odd = [(b"x-ms-call-connection-id", b"a\x00b"), (b"x-ms-call-correlation-id", b"k" * 256)]
        await self.refuse(odd)
        row = await self.row()
        self.assertEqual((row.call_connection_id, row.correlation_id), ("", "k" * 256))

    async def test_a_wrong_path_becomes_a_row(self) -> None:
        socket = self.socket(path="/ws/acs/media/")
        await socket.connect(timeout=10)
        row = await self.row()
        self.assertEqual((row.reason, row.call_connection_id), ("wrong_path", CONNECTION))


class WithoutARecorder(RefusalTestCase):
    """A process of ROLE=web, to which a proxy sends the media socket by mistake."""

    async def test_a_refusal_becomes_a_row_although_there_is_no_sealer(self) -> None:
        self.application = Application(None, None)
        with patch.multiple(refusals, WRITE_SECONDS=0.05, REFUSED_SECONDS=0.2):
            await self.refuse()
            row = await self.row()
            await until(lambda: not writers())  # else one writes into the tests to come
        self.assertEqual((row.reason, row.from_acs), ("wrong_process", True))
        self.assertEqual((row.call_connection_id, row.address), (CONNECTION, "20.51.10.7"))
        alarm = await RaisedAlarm.objects.aget()
        self.assertIsNotNone(alarm.cleared_at, "its thread ends with the alarm")

    def test_refusals_wait_while_the_database_is_away(self) -> None:
        writer, now = RefusalWriter(), time.monotonic()
        writer.add("wrong_process", from_acs=True, origin=NOBODY)
        with database_away(), self.assertLogs("acsmedia.refusals", "WARNING") as logs:
            writer.write(now)
        self.assertIn("refusals delayed", logs.output[0])
        writer.write(now)
        writer.write(now)
        self.assertEqual(RefusedHandshake.objects.get().count, 1)

    def test_a_fault_is_logged_and_refusals_wait(self) -> None:
        writer, now = RefusalWriter(), time.monotonic()
        writer.add("wrong_process", from_acs=True, origin=NOBODY)
        fault = patch.object(refusals, "write_refused", side_effect=ValueError("a fault"))
        with fault, self.assertLogs("acsmedia.refusals", "ERROR") as logs:
            writer.write(now)
        self.assertIn("refusals delayed", logs.output[0])
        writer.write(now)
        self.assertEqual(RefusedHandshake.objects.get().count, 1)

    def test_a_thread_that_died_is_started_again(self) -> None:
        writer, runs = RefusalWriter(), list[str]()
        with patch.object(writer, "_run", lambda: runs.append("ran")):
            for count in (1, 2):
                writer.start()
                assert writer._thread
                writer._thread.join(10)
                self.assertEqual(len(runs), count)

    def test_the_alarm_lasts_until_a_minute_after_the_last_one_of_acs(self) -> None:
        writer, now = RefusalWriter(), time.monotonic()
        writer.add("wrong_path", from_acs=False, origin=NOBODY)
        writer.write(now)
        self.assertFalse(RaisedAlarm.objects.exists(), "strangers raise none")
        writer.add("wrong_process", from_acs=True, origin=NOBODY)
        for seconds in (1, 30, 59):
            writer.write(now + seconds)
            alarm = RaisedAlarm.objects.get()
            self.assertEqual((alarm.name, alarm.cleared_at), ("acs_refused", None))
        self.assertEqual(alarm.detail["reasons"], {"wrong_process": 1})
        writer.write(now + 62)
        alarm.refresh_from_db()
        self.assertIsNotNone(alarm.cleared_at)
        writer.write(now + 70)
        self.assertEqual(RaisedAlarm.objects.count(), 1)
