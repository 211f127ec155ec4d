"""The command lines of the two servers: one place for `manage.py serve`, the first look, the image
and the tests.

Daphne is for development and for the pages of a site; uvicorn is for ingest, where it costs less
than half the time per message and stops reading from a socket that we do not keep up with.
"""

from __future__ import annotations

import sys

APPLICATION = "acsmedia.asgi:application"
MESSAGE_BYTES = (
    256 * 1024
)  # the largest WebSocket message; an audio message has about 1 kB, a long transcription 20 kB
STOP_SECONDS = 5  # what open requests get to finish at SIGTERM; the journals need no time to close


def command(server: str, host: str, port: int) -> list[str]:
    """The argument vector that runs `server` ("daphne" or "uvicorn") on `host` and `port`, in the
    foreground.

    Raises:
        ValueError: `server` is neither.
    """
    if server == "daphne":
        return [sys.executable, "-m", "daphne", *_daphne(host, port), APPLICATION]
    if server == "uvicorn":
        return [sys.executable, "-m", "uvicorn", *_uvicorn(host, port), APPLICATION]
    raise ValueError(f"SERVER is {server!r}; it must be daphne or uvicorn")


def _daphne(host: str, port: int) -> list[str]:
    return [
        *("--bind", host, "--port", str(port)),
        *(
            "--verbosity",
            "0",
        ),  # no access log: it would hold the query string of the media socket, so the stream token
        *(
            "--websocket_timeout",
            "-1",
        ),  # a socket lives as long as its call; the default ends it after a day
        *("--websocket-max-message-size", str(MESSAGE_BYTES)),
        *("--websocket-max-frame-size", str(MESSAGE_BYTES)),
        "--no-server-name",
    ]


def _uvicorn(host: str, port: int) -> list[str]:
    return [
        *("--host", host, "--port", str(port)),
        *(
            "--loop",
            "uvloop",
            "--http",
            "acsmedia.servers.uvicorn_http:HeadTimeoutProtocol",
            "--ws",
            "acsmedia.servers.uvicorn_websocket:PicowsProtocol",
        ),
        *("--ws-max-size", str(MESSAGE_BYTES)),
        *(
            "--ws-per-message-deflate",
            "false",
        ),  # base64 of speech hardly shrinks, and inflating costs every message
        *("--lifespan", "auto"),
        *("--timeout-graceful-shutdown", str(STOP_SECONDS)),
        *("--log-level", "warning"),  # "info" would print the query string of every handshake
        *("--no-access-log", "--no-server-header"),
    ]
