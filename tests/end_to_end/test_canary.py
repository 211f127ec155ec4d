"""Canary calls against running servers: a good one, and each fault that one has to find."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import ClassVar

from django.test import SimpleTestCase, tag

from tests.end_to_end.installation import Rest, running
from tests.front_door import FrontDoor
from tests.servers import ROOT, Server
from tests.waiting import wait_until

SECONDS = "2.5"
"""Three segments of each track."""

IS_OF_ONE_TRACK = """NEW.participant_id = (
    SELECT min(id) FROM calls_participant WHERE call_id IN (
        SELECT call_id FROM calls_participant WHERE id = NEW.participant_id
    )
)"""

SHIFT = "UPDATE calls_segment SET start_sample = start_sample + 1 WHERE id = NEW.id"
SHIFTED = f"AFTER INSERT ON calls_segment WHEN {IS_OF_ONE_TRACK} BEGIN {SHIFT}; END"


class _Canary:
    @tag("once")
    class Tests(SimpleTestCase):
        kind: ClassVar[str]
        server: ClassVar[Server]
        rest: ClassVar[Rest]
        url: ClassVar[str]
        environment: ClassVar[dict[str, str]] = {}

        @classmethod
        def setUpClass(cls) -> None:
            super().setUpClass()
            cls.server, cls.rest = cls.enterClassContext(running(cls.kind, cls.environment))
            cls.url = cls.server.url

        def canary(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
            """Runs one canary call in the environment of the server."""
            return subprocess.run(
                [
                    *(sys.executable, "manage.py", "canary", "--once", "--url", self.url),
                    *("--seconds", SECONDS, *options),
                ],
                cwd=ROOT,
                env={**self.server._environment, **environment},
                capture_output=True,
                text=True,
                check=False,
            )

        def assert_fails(
            self, reason: str, *options: str, environment: Mapping[str, str] | None = None
        ) -> str:
            """Checks that the canary fails for this reason and raises the alarm; returns the
            detail.
            """
            done = self.canary(*options, **environment or {})
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            outcome, found, detail = self.query(
                "SELECT outcome, reason, detail FROM calls_canaryrun ORDER BY started_at DESC"
            )[0]
            self.assertEqual((outcome, found), ("failed", reason), done.stderr)
            # a busy machine may raise others, such as sealing_behind
            self.assertIn("canary_failed", self.active_alarms())
            return str(detail)

        def assert_passes(self) -> None:
            done = self.canary()
            self.assertEqual(
                done.returncode, 0, done.stdout + done.stderr + self.server.log[-3000:]
            )
            self.assertIn("80000 samples came back as they were sent", done.stdout)
            # alarms of the recorder, such as that of its store, are cleared a moment later
            wait_until(lambda: not self.active_alarms(), what=lambda: str(self.active_alarms()))

        def active_alarms(self) -> list[str]:
            rows = self.query("SELECT name FROM calls_raisedalarm WHERE cleared_at IS NULL")
            return [str(name) for (name,) in rows]

        def query(self, sql: str) -> list[tuple[object, ...]]:
            with closing(sqlite3.connect(self.server.data_dir / "db.sqlite3", 10)) as database:
                rows = database.execute(sql).fetchall()
                database.commit()
                return rows

        @contextmanager
        def trigger(self, sql: str) -> Iterator[None]:
            """Changes rows while the server writes them, like a fault of its timeline."""
            self.query(f"CREATE TRIGGER fault {sql}")
            try:
                yield
            finally:
                self.query("DROP TRIGGER fault")

        @contextmanager
        def store_that_cannot_be_written(self) -> Iterator[None]:
            folder = self.server.data_dir / "audio"
            aside = folder.rename(folder.with_name("audio.aside"))
            folder.write_text("no folder")  # wrong permissions would not stop root
            try:
                yield
            finally:
                folder.unlink()
                aside.rename(folder)


class OnDaphne(_Canary.Tests):
    kind = "daphne"

    def test_a_good_one_is_measured_and_hidden(self) -> None:
        self.assert_passes()
        hidden = self.rest.json("/api/v1/calls/")["results"]
        self.assertFalse(any(call["canary"] for call in hidden))
        shown = self.rest.json("/api/v1/calls/", canaries="only")["results"]
        self.assertTrue(all(call["canary"] and call["participants"] for call in shown))
        page = self.rest.body("/metrics").decode()
        found = dict(re.findall(r"^(acsmedia_canary_\w+) (\S+)$", page, re.MULTILINE))
        self.assertEqual(float(found["acsmedia_canary_difference_samples"]), 0)
        self.assertEqual(float(found["acsmedia_canary_failed"]), 0)
        self.assertLess(float(found["acsmedia_canary_age_seconds"]), 60)
        self.assertLess(float(found["acsmedia_canary_delay_seconds"]), 30)
        self.assertEqual(self.rest.packets(), 0, "they are not counted")

    def test_rest_that_is_closed(self) -> None:
        self.server.manage("shell", "-c", "from calls.canary.account import *; key_of_account()")
        self.query("UPDATE auth_user SET is_active = 0 WHERE username = 'acsmedia-canary'")
        try:
            self.assertEqual(self.assert_fails("rest_failed"), "HTTP 401")
        finally:
            self.query("UPDATE auth_user SET is_active = 1")
        self.assert_passes()

    def test_a_store_that_has_lost_an_object(self) -> None:
        lost = "UPDATE calls_segment SET audio_name = audio_name || '.lost' WHERE id = NEW.id"
        with self.trigger(f"AFTER INSERT ON calls_segment BEGIN {lost}; END"):
            self.assertRegex(self.assert_fails("audio_unreadable"), "^HTTP 5|Incomplete|Remote")
        self.assert_passes()

    def test_a_call_that_lies_elsewhere_on_the_axis(self) -> None:
        earlier = "strftime('%Y-%m-%d %H:%M:%f', heard_at, '-2 seconds')"
        move = f"UPDATE calls_participant SET heard_at = {earlier} WHERE id = NEW.id"  # noqa: S608
        with self.trigger(
            "AFTER UPDATE OF heard_at ON calls_participant WHEN OLD.heard_at IS NULL "
            f"BEGIN {move}; END"
        ):
            self.assertEqual(self.assert_fails("shifted"), "32000 samples early")
        self.assert_passes()


class OnUvicorn(_Canary.Tests):
    kind = "uvicorn"

    def test_a_good_one_and_one_without_a_server(self) -> None:
        self.assert_passes()
        self.server.kill()
        self.assertIn("cannot connect", self.assert_fails("unreachable"))
        self.server.start()
        self.assert_passes()


class ThroughNginx(_Canary.Tests):
    """As the canary of an installation: through the public address, with TLS."""

    kind = "daphne"
    environment: ClassVar = {"INSECURE_HTTP": "false"}
    trust: ClassVar[dict[str, str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        port = cls.server.port
        door = cls.enterClassContext(FrontDoor("tls", web=port, ingest=port))
        cls.url = f"https://localhost:{door.https}"
        cls.trust = {"SSL_CERT_FILE": str(door.certificate)}

    def canary(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return super().canary(*options, **{**self.trust, **environment})

    def test_the_door_and_its_tokens(self) -> None:
        for variable in ("SECRET_KEY", "ACS_STREAM_TOKEN"):
            with self.subTest(variable):
                wrong = {variable: "another-secret-" + "0" * 50}
                detail = self.assert_fails("refused", environment=wrong)
                self.assertEqual(detail, "refused with HTTP 403")
        self.assert_passes()

    def test_a_store_that_cannot_be_written(self) -> None:
        with self.store_that_cannot_be_written():
            self.assert_fails("not_in_rest", "--wait", "5")
        self.assert_passes()

    def test_a_track_that_is_shifted_by_one_sample(self) -> None:
        with self.trigger(SHIFTED):
            self.assertEqual(self.assert_fails("shifted"), "1 samples late")
        self.assert_passes()

    def test_a_certificate_that_is_not_trusted(self) -> None:
        detail = self.assert_fails("unreachable", environment={"SSL_CERT_FILE": ""})
        self.assertIn("certificate verify failed", detail)
        self.assert_passes()
