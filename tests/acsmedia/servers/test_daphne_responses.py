"""Daphne's responses to a client that has left; with a slow one: tests/end_to_end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest import TestCase, mock

from daphne.http_protocol import WebRequest
from daphne.server import Server

from acsmedia import asgi
from acsmedia.servers import daphne_responses
from acsmedia.servers.daphne_responses import Outlet


def request_of(channel: Any) -> Any:
    """Returns a request whose response has begun."""
    request = WebRequest.__new__(WebRequest)
    request.producer, request.channel, request.finished = Outlet(), channel, 0
    return request


class ClientThatHasLeftTests(TestCase):
    def send(self, request: Any, **message: Any) -> None:
        assert asgi.application, "Daphne is patched"
        server: Any = SimpleNamespace(connections={})
        asyncio.run(Server.handle_reply(server, request, {"type": "http.response.body", **message}))

    def test_the_end_and_further_chunks_are_dropped(self) -> None:
        for has_more in (False, True):
            self.send(request_of(None), body=b"x", more_body=has_more)

    def test_nobody_waits_for_a_lost_connection(self) -> None:
        request = request_of(mock.Mock())
        request.producer.pauseProducing()
        request.producer.stopProducing()
        self.send(request, body=b"x", more_body=True)

    def test_a_client_that_takes_nothing_is_disconnected(self) -> None:
        request = request_of(mock.Mock())
        request.producer.pauseProducing()
        with mock.patch.object(daphne_responses, "SEND_SECONDS", 0.01):
            self.send(request, body=b"x", more_body=True)
        request.channel.transport.abortConnection.assert_called_once_with()
