"""Requests that a process does not serve, by its role: the variable `ROLE`.

| `ROLE` | recorder, sealer, media socket | pages, REST, webhooks, sockets of browsers | probes |
| --- | --- | --- | --- |
| `all` | yes | yes | yes |
| `ingest` | yes | no | yes |
| `web` | no | yes | yes |

Otherwise a media socket that a proxy sends to the wrong process would be recorded on its disk,
which may be a tmpfs, and a page would compete with sockets for the event loop of ingest.
"""

from __future__ import annotations

from typing import Any

from acsmedia.monitoring.health import PATHS
from acsmedia.refusals import Refusals
from streams.acs.auth import Reason
from streams.acs.consumer import refuse

MISDIRECTED = 4421, 421
"""Close code and HTTP status (RFC 9110, section 15.5.20): the proxy has chosen a wrong process."""

RECORDS_ONLY = b"This process records calls. Pages and REST are served by a process of ROLE=web.\n"


class MediaElsewhere:
    """Refuses every media socket, before accept, and logs that the proxy has a wrong route."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        self._refusals.note(Reason.WRONG_PROCESS, scope)
        await refuse(scope, send, *MISDIRECTED)


class ProbesOnly:
    """Passes probes on to `application`; answers 404 to every other request."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"].removeprefix(scope.get("root_path", "")) in PATHS:
            await self._application(scope, receive, send)
            return
        headers = [
            (b"content-type", b"text/plain"),
            (b"content-length", b"%d" % len(RECORDS_ONLY)),
        ]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": RECORDS_ONLY})
