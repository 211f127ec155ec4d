"""The client of REST: answers that are not those of acsmedia."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from unittest import TestCase

import numpy as np

from streams.canary.rest import AccessDenied, Rest, RestError


def wav(samples: list[int], *, rate: int = 16_000, channels: int = 1) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.array(samples, "<i2").tobytes())
    return content.getvalue()


class _Answers(BaseHTTPRequestHandler):
    status, content, length, asked = 200, b"", None, list[str]()

    def do_GET(self) -> None:
        type(self).asked.append(f"{self.path} {self.headers['Authorization']}")
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(self.length or len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Prints no request lines."""


class RestTests(TestCase):
    @contextmanager
    def answering(
        self, content: bytes = b"", status: int = 200, length: int | None = None
    ) -> Iterator[Rest]:
        members = {"status": status, "content": content, "length": length, "asked": []}
        self.answers = type("Answers", (_Answers,), members)
        server = ThreadingHTTPServer(("127.0.0.1", 0), self.answers)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield Rest(f"http://127.0.0.1:{server.server_address[1]}/api/v1/", "the-key")
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def test_a_call_is_found_by_its_connection_id(self) -> None:
        for results, expected in (([{"id": 1}], {"id": 1}), ([], None)):
            with self.answering(json.dumps({"results": results}).encode()) as rest:
                self.assertEqual(rest.call("canary-1"), expected)
                self.assertEqual(
                    self.answers.asked,  # type: ignore[attr-defined]
                    [
                        "/api/v1/calls/?canaries=only&call_connection_id=canary-1 Token the-key",
                    ],
                )

    def test_a_track_has_its_samples(self) -> None:
        with self.answering(wav([1, -2, 3])) as rest:
            self.assertEqual(rest.track("c", "p").tolist(), [1, -2, 3])

    def test_errors_name_the_status(self) -> None:
        for status, kind in ((401, AccessDenied), (403, AccessDenied), (503, RestError)):
            with self.answering(b"the-key", status) as rest:
                with self.assertRaises(RestError) as caught:
                    rest.call("canary-1")
                self.assertEqual(
                    (type(caught.exception), str(caught.exception)), (kind, f"HTTP {status}")
                )

    def test_a_redirect_is_not_followed_with_the_key(self) -> None:
        with self.answering(status=302) as rest:
            with self.assertRaisesRegex(RestError, "^HTTP 302$"):
                rest.call("canary-1")
            self.assertEqual(len(self.answers.asked), 1)  # type: ignore[attr-defined]

    def test_another_site_is_an_error(self) -> None:
        for content in (b"<html>", b"[]", b'{"results": null}', b"{}", b"\xff"):
            with (
                self.subTest(content),
                self.answering(content) as rest,
                self.assertRaisesRegex(RestError, "not that of acsmedia"),
            ):
                rest.call("canary-1")

    def test_other_audio_is_an_error(self) -> None:
        for content, text in (
            (b"no audio", "no WAV file"),
            (b"", "no WAV file"),
            (wav([1], rate=8000), "another format"),
            (wav([1, 2], channels=2), "another format"),
        ):
            with (
                self.subTest(text),
                self.answering(content) as rest,
                self.assertRaisesRegex(RestError, text),
            ):
                rest.track("c", "p")

    def test_an_answer_that_breaks_off_is_an_error(self) -> None:
        with (
            self.answering(wav([1, 2, 3]), length=5000) as rest,
            self.assertRaisesRegex(RestError, "4950 bytes of the answer are missing"),
        ):
            rest.track("c", "p")

    def test_no_server_is_an_error(self) -> None:
        with self.answering() as rest:
            pass
        with self.assertRaisesRegex(RestError, "URLError"):
            rest.call("canary-1")
