"""`make run` and `make demo`: from an empty folder to a login; a second start keeps the secrets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from django.test import tag

from acsmedia.quickstart import address
from acsmedia.servers.commands import command
from tests.servers import ROOT, answers, free_port


class Installation:
    """A data folder that does not exist yet, and an unused port."""

    def __init__(self, folder: str) -> None:
        self.data_dir = Path(folder) / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs the module until it exits by itself."""
        return subprocess.run(
            [sys.executable, "-m", "acsmedia.quickstart", *arguments],
            cwd=ROOT,
            env=self._environment(variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def started(
        self, action: str = "run", **variables: str
    ) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Yields the running process and its output until it was ready; stops it with Ctrl-C."""
        process = subprocess.Popen(
            [sys.executable, "-m", "acsmedia.quickstart", action],
            cwd=ROOT,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout, "it is piped"
        try:
            printed = ""
            while "Press Ctrl-C to stop." not in printed:
                line = process.stdout.readline()
                assert line, f"it exited before it was ready:\n{printed}"
                printed += line
            yield process, printed
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0, f"it exited with {process.returncode}:\n{rest[-2000:]}"

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            **variables,
        }


@tag("once")
class RunningTests(TestCase):
    site: Installation
    printed: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.site = Installation(
            cls.enterClassContext(TemporaryDirectory(prefix="acsmedia-quickstart-"))
        )
        _, cls.printed = cls.enterClassContext(cls.site.started(SERVER="uvicorn"))

    def test_the_printed_password_opens_dashboard_and_admin(self) -> None:
        browser = logged_in(self.site.url, password_in(self.printed))
        for page in ("/", "/admin/"):
            with browser.open(self.site.url + page) as answer:
                self.assertEqual(self.site.url + page, answer.url)

    def test_debug_is_off_so_a_missing_page_shows_no_settings(self) -> None:
        with self.assertRaises(HTTPError) as caught:
            build_opener().open(f"{self.site.url}/no-such-page")
        with caught.exception as answer:
            self.assertEqual(404, answer.code)
            self.assertNotIn(b"DEBUG", answer.read())

    def test_pages_find_their_static_files_without_a_build(self) -> None:
        with build_opener().open(f"{self.site.url}/static/admin/css/base.css") as answer:
            self.assertEqual("text/css", answer.headers.get_content_type())

    def test_manage_has_the_same_settings(self) -> None:
        done = self.site.run("manage", "drf_create_token", "operator")
        self.assertRegex(done.stdout, "Generated token [0-9a-f]{40} for user operator", done.stderr)

    def test_a_second_one_on_the_same_port_is_refused_with_a_hint(self) -> None:
        done = self.site.run("run")
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertIn(f"cannot listen on HOST 127.0.0.1, PORT {self.site.port}", done.stderr)
        self.assertIn(f"make run PORT={self.site.port + 1}", done.stderr)

    def test_only_its_owner_can_read_the_data_folder(self) -> None:
        self.assertEqual(0o700, self.site.data_dir.stat().st_mode & 0o777)


@tag("once")
class StartAndStopTests(TestCase):
    def setUp(self) -> None:
        self.site = Installation(
            self.enterContext(TemporaryDirectory(prefix="acsmedia-quickstart-"))
        )

    def test_a_second_start_keeps_secrets_and_password_and_shows_no_wrong_password(self) -> None:
        files = [
            self.site.data_dir / "secret_key",
            self.site.data_dir / "stream_token",
            self.site.data_dir / "events_token",
        ]
        with self.site.started(OPERATOR_PASSWORD="the-first-one") as (_, printed):
            self.assertEqual("the-first-one", password_in(printed))
            before = [file.read_text() for file in files]
            self.assertEqual([0o600] * 3, [file.stat().st_mode & 0o777 for file in files])
        with self.site.started(OPERATOR_PASSWORD="another-one") as (_, printed):
            self.assertIn("unchanged since the first start", password_in(printed))
            self.assertIn(f"/ws/acs/media?token={before[1]}", printed)
            self.assertIn(f"/webhooks/acs/events?token={before[2]}", printed)
            self.assertEqual(before, [file.read_text() for file in files])
            logged_in(self.site.url, "the-first-one")

    def test_the_demo_streams_three_calls_until_it_is_stopped(self) -> None:
        log = self.site.data_dir / "demo.log"
        with self.site.started("demo"):
            deadline = time.monotonic() + 60
            while self.open_streams() < 3:
                printed = log.read_text() if log.exists() else "not started"
                self.assertLess(time.monotonic(), deadline, printed)
                time.sleep(0.2)
            while self.reported_calls() < 3:
                self.assertLess(time.monotonic(), deadline, self.site.data_dir)
                time.sleep(0.2)
        self.assertIn("3 calls", log.read_text())

    def test_sigterm_stops_the_server(self) -> None:
        with self.site.started() as (process, _):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        self.assertFalse(answers(self.site.port))

    def open_streams(self) -> int:
        return self.metric(r'handshakes_total\{outcome="accepted"\}')

    def reported_calls(self) -> int:
        return self.metric(r'events_received_total\{source="event_grid",type="CallStarted"\}')

    def metric(self, pattern: str) -> int:
        with build_opener().open(f"{self.site.url}/metrics") as answer:
            found = re.search(rf"{pattern} (\d+)", answer.read().decode())
        return int(found[1]) if found else 0

    def test_a_port_in_use_is_reported_before_anything_is_created(self) -> None:
        with socket.create_server(("127.0.0.1", self.site.port)):
            done = self.site.run("run")
        self.assertIn("cannot listen on HOST", done.stderr)
        self.assertFalse((self.site.data_dir / "db.sqlite3").exists())

    def test_a_wrong_value_is_reported_by_variable_name(self) -> None:
        wrong = {
            "PORT": "eighty",
            "SERVER": "apache",
            "SEGMENT_SECONDS": "soon",
            "ACS_STREAM_TOKEN": "short",
        }
        for name, value in wrong.items():
            with self.subTest(name):
                done = self.site.run("run", **{name: value})
                self.assertEqual(1, done.returncode, done.stdout)
                self.assertIn(name, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


class AddressTests(TestCase):
    def test_an_address_can_be_opened_in_a_browser_on_this_host(self) -> None:
        expected = {
            "127.0.0.1": "127.0.0.1:80",
            "0.0.0.0": "127.0.0.1:80",
            "::": "[::1]:80",
            "a.example": "a.example:80",
        }
        self.assertEqual(expected, {host: address(host, 80) for host in expected})

    def test_an_unknown_server_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "SERVER is 'apache'"):
            command("apache", "127.0.0.1", 8000)


def password_in(printed: str) -> str:
    found = re.search(r"^  password +(.*)$", printed, re.MULTILINE)
    assert found, f"no password in:\n{printed}"
    return found[1]


def logged_in(url: str, password: str) -> OpenerDirector:
    """Returns a client that has logged in at the admin."""
    jar = CookieJar()
    browser = build_opener(HTTPCookieProcessor(jar))
    form = f"{url}/admin/login/?next=/admin/"
    browser.open(form).close()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken") or ""
    fields = {"username": "operator", "password": password, "csrfmiddlewaretoken": token}
    with browser.open(form, urlencode(fields).encode()) as answer:
        assert answer.url.endswith("/admin/"), f"the login led to {answer.url}"
    return browser
