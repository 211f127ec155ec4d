"""A receiver of webhooks: a real HTTP or HTTPS server on a thread, that answers as it is told."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


class Request:
    """One request: its path, headers with lower-case names, and body."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body

    @property
    def event(self) -> dict[str, Any]:
        """Verifies the signature, and returns the event. Raises `WebhookVerificationError`."""
        content: dict[str, Any] = Webhook(SECRET).verify(self.body, self.headers)
        return content

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])


Answering = Callable[["Handler", Request], None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, body)
        self.server.requests.append(request)
        self.server.answer(self, request)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Prints nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    requests: list[Request]
    answer: Answering

    def handle_error(self, *_arguments: Any) -> None:
        """Prints nothing: clients may hang up."""


class Receiver:
    """A server in `with Receiver() as receiver:`; `answer` may be replaced at any time."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.requests = []
        self._server.answer = status(200)
        self._scheme = "https" if certificate else "http"
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self.port}/hook"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    @property
    def types(self) -> list[str]:
        return [request.type for request in self.requests]

    def reply(self, answer: Answering) -> None:
        self._server.answer = answer


def status(code: int, body: bytes = b"", **headers: str) -> Answering:
    return lambda handler, _request: handler.answer(code, body, **headers)


def slow(seconds: float, code: int) -> Answering:
    """Answers after a while."""

    def answer(handler: Handler, _request: Request) -> None:
        time.sleep(seconds)
        handler.answer(code)

    return answer


def hang(seconds: float) -> Answering:
    """Accepts the request, and says nothing."""
    return lambda _handler, _request: time.sleep(seconds)


def drip(seconds: float) -> Answering:
    """Sends a byte of a header every 50 ms."""

    def answer(handler: Handler, _request: Request) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(round(seconds / 0.05)):
            handler.wfile.write(b"a")
            time.sleep(0.05)

    return answer


def free_port() -> int:
    """Returns a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
