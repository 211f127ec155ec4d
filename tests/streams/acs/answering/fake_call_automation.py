"""A fake of Call Automation over TLS, which the SDK insists on: it records requests and answers as
Microsoft's does.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import Any
from unittest import mock

from tests.front_door import write_certificate


class FakeCallAutomation(ThreadingHTTPServer):
    """`statuses` are those of the next answers; then 200. `requests`: path, headers, body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.lock = Lock()
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.statuses: list[int] = []

    @property
    def connection_string(self) -> str:
        # the key is base64 of "not a key"
        return f"endpoint=https://127.0.0.1:{self.server_address[1]}/;accesskey=bm90IGEga2V5"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that disconnect early: they are part of the tests."""


class _Answer(BaseHTTPRequestHandler):
    server: FakeCallAutomation

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers), body))
            status = self.server.statuses.pop(0) if self.server.statuses else 200
            number = len(self.server.requests)
        if status == 0:
            self.close_connection = True  # breaks off without an answer
            return
        answer: dict[str, Any] = {
            "callConnectionId": f"connection-{number}",
            "serverCallId": "server-call",
            "correlationId": "correlation",
            "callConnectionState": "connecting",
            "callbackUri": body.get("callbackUri"),
        }
        if status != 200:
            answer = {"error": {"code": "8522", "message": "Call from +15551234567 failed."}}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Prints no request lines."""


@contextmanager
def call_automation() -> Iterator[FakeCallAutomation]:
    """Runs the fake, with a certificate that clients of this process trust."""
    with TemporaryDirectory() as folder:
        server, certificate = FakeCallAutomation(), write_certificate(Path(folder) / "tls")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("privkey.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            with mock.patch.dict(os.environ, REQUESTS_CA_BUNDLE=str(certificate)):
                yield server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
