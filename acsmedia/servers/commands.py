"""Command lines of the two servers, used by `manage.py serve`, `make run`, the image and the tests.

Daphne is for development and for the pages of an installation. uvicorn is for ingest: it costs less
than half the time per message, and stops reading from a socket that the recorder cannot keep up
with.
"""

from __future__ import annotations

import sys

APPLICATION = "acsmedia.asgi:application"

MESSAGE_BYTES = 256 * 1024
"""Largest WebSocket message. An audio message has about 1 kB, a long transcription 20 kB."""

STOP_SECONDS = 5
"""Time for open requests to finish at SIGTERM; the journals need none to close."""

PING_SECONDS = 3
"""Time without data from a client until it gets a ping, and between two pings. A proxy in front
hears from an idle socket that often, so it need not wait long for a process that does not answer:
`proxy_read_timeout` in deploy/nginx/locations.conf. Daphne's intervals are its own: see
`acsmedia.servers.daphne_backpressure`.
"""

_OPTIONS = {
    "daphne": [
        # no access log: it would contain the query string of the media socket, so the stream token
        *("--verbosity", "0"),
        # a socket lives as long as its call; the default closes it after a day
        *("--websocket_timeout", "-1"),
        *("--websocket-max-message-size", str(MESSAGE_BYTES)),
        *("--websocket-max-frame-size", str(MESSAGE_BYTES)),
        "--no-server-name",
    ],
    "uvicorn": [
        *("--loop", "uvloop"),
        *("--http", "acsmedia.servers.uvicorn_http:HeadTimeoutProtocol"),
        *("--ws", "acsmedia.servers.uvicorn_websocket:PicowsProtocol"),
        *("--ws-max-size", str(MESSAGE_BYTES)),
        # base64 of speech hardly compresses, and inflating costs time for every message
        *("--ws-per-message-deflate", "false"),
        *("--ws-ping-interval", str(PING_SECONDS)),
        *("--lifespan", "auto"),
        *("--timeout-graceful-shutdown", str(STOP_SECONDS)),
        *("--log-level", "warning"),  # "info" would log the query string of every handshake
        *("--no-access-log", "--no-server-header"),
    ],
}


def command(server: str, host: str, port: int) -> list[str]:
    """Returns the argument vector that runs `server` in the foreground on `host` and `port`.

    Raises:
        ValueError: `server` is neither "daphne" nor "uvicorn".
    """
    if server not in _OPTIONS:
        raise ValueError(f"SERVER is {server!r}; set it to daphne or uvicorn")
    bind = ["--bind" if server == "daphne" else "--host", host, "--port", str(port)]
    return [sys.executable, "-m", server, *bind, *_OPTIONS[server], APPLICATION]
