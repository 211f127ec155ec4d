"""Log lines about refused requests: one each, with user and address, without a traceback."""

from __future__ import annotations

import logging
from typing import Any
from unittest import mock

from django.test import Client, SimpleTestCase, TestCase, override_settings
from structlog.testing import capture_logs

from acsmedia.logs import EndedDownloads, FailedProbes, RefusedRequests
from acsmedia.monitoring import health
from calls.export.errors import AccessEnded
from tests.people import person


class Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.addFilter(RefusedRequests())
        self.addFilter(FailedProbes())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class RefusedRequestTests(TestCase):
    def setUp(self) -> None:
        self.handler, django = Handler(), logging.getLogger("django.request")
        django.addHandler(self.handler)
        self.addCleanup(django.removeHandler, self.handler)
        level = django.level
        django.setLevel("WARNING")
        self.addCleanup(django.setLevel, level)

    def lines_of(self, address: str, client: Client) -> list[dict[str, Any]]:
        with capture_logs() as lines:
            client.get(address)
        return [dict(line) for line in lines if line["event"] == "request refused"]

    def test_a_refusal_is_one_line_with_user_and_address(self) -> None:
        client = Client()
        client.force_login(person("olga", "nothing"))
        for address in ("/", "/api/v1/calls/?token=secret", "/admin/overview/"):
            with self.subTest(address):
                path = address.partition("?")[0]
                lines = self.lines_of(address, client)
                if path.startswith("/admin"):  # she may not enter the admin: asked to log in
                    self.assertEqual(lines, [])
                    continue
                (line,) = lines
                self.assertEqual(
                    (line["user"], line["address"], line["method"], line["path"]),
                    ("olga", "127.0.0.1", "GET", path),
                )
                self.assertNotIn("secret", str(line))
        self.assertEqual(self.handler.lines, [])

    def test_a_probe_that_fails_is_no_error(self) -> None:
        with override_settings(MIN_FREE_DISK_MB=10**9):
            readiness = health.readiness_of("all")  # without a result of another test
            with mock.patch.object(health._readiness, "_probes", readiness._probes):
                self.assertEqual(Client().get("/readyz").status_code, 503)
                with override_settings(FORCE_SCRIPT_NAME="/acs"):
                    self.assertEqual(Client().get("/readyz").status_code, 503)
        self.assertEqual(self.handler.lines, [])

    def test_other_lines_stay(self) -> None:
        self.assertEqual(self.lines_of("/nothing", Client()), [])
        self.assertEqual(len(self.handler.lines), 1)


class EndedDownloadTests(SimpleTestCase):
    def test_a_download_that_was_cut_off_on_purpose_is_no_error_of_the_server(self) -> None:
        for error, is_kept in ((AccessEnded(), False), (ValueError(), True), (None, True)):
            info = (type(error), error, None) if error else None
            record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, "", (), info)
            with self.subTest(error=error):
                self.assertIs(EndedDownloads().filter(record), is_kept)
