"""Limits and privacy of both servers, as far as their command lines set them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from unittest import TestCase

from acsmedia.servers.commands import MESSAGE_BYTES, PING_SECONDS, command

ROUTES = Path(__file__).parents[3] / "deploy" / "nginx" / "locations.conf"


class CommandTests(TestCase):
    def test_messages_are_bounded(self) -> None:
        for server, names in (
            ("daphne", ("--websocket-max-message-size", "--websocket-max-frame-size")),
            ("uvicorn", ("--ws-max-size",)),
        ):
            for name in names:
                self.assertIn((name, str(MESSAGE_BYTES)), self.options(server), name)

    def test_uvicorn_limits_request_heads_and_pings(self) -> None:
        found = self.options("uvicorn")
        self.assertIn(("--http", "acsmedia.servers.uvicorn_http:HeadTimeoutProtocol"), found)
        self.assertIn(("--ws", "acsmedia.servers.uvicorn_websocket:PicowsProtocol"), found)
        self.assertIn(("--ws-ping-interval", str(PING_SECONDS)), found)

    def test_a_proxy_waits_for_two_pings(self) -> None:
        media = ROUTES.read_text().partition("/ws/acs/media")[2]
        seconds = media.partition("proxy_read_timeout ")[2].partition("s;")[0]
        self.assertGreaterEqual(int(seconds), 2 * PING_SECONDS)

    def test_a_socket_lives_as_long_as_its_call(self) -> None:
        self.assertIn(("--websocket_timeout", "-1"), self.options("daphne"))

    def test_no_request_is_logged(self) -> None:
        """Its query string may hold the stream token."""
        self.assertIn(("--verbosity", "0"), self.options("daphne"))
        self.assertIn("--no-access-log", command("uvicorn", "127.0.0.1", 8000))
        self.assertIn(("--log-level", "warning"), self.options("uvicorn"))

    def options(self, server: str) -> list[tuple[str, str]]:
        return list(pairwise(command(server, "127.0.0.1", 8000)))
