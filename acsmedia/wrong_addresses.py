"""Handshakes that miss the media socket: at another path, or without the upgrade to a WebSocket.

Each is refused and logged as `stream refused` like one that fails to authenticate, because ACS
tells its caller neither the address nor the reason.
"""

from __future__ import annotations

from typing import Any

from acsmedia.refusals import Refusals
from streams.acs.auth import Reason
from streams.acs.consumer import refuse

MEDIA_PATH = "/ws/acs/media"

NOT_FOUND = 4404, 404
"""Close code and HTTP status for an unknown socket address."""

UPGRADE_REQUIRED = 426  # RFC 9110, section 15.5.22
NOT_UPGRADED = b"This address takes WebSockets only. Does the proxy pass Upgrade and Connection?\n"


class UnknownSocket:
    """Refuses sockets of unknown addresses, before accept."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        self._refusals.note(Reason.WRONG_PATH, scope)
        await refuse(scope, send, *NOT_FOUND)


class UpgradeRequired:
    """Answers requests for the address of the media socket that are no handshakes; passes all
    others on to `application`.
    """

    def __init__(self, application: Any, refusals: Refusals) -> None:
        self._application = application
        self._refusals = refusals

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.rstrip("/") != MEDIA_PATH:
            await self._application(scope, receive, send)
            return
        self._refusals.note(Reason.NOT_UPGRADED, scope)
        headers = [
            (b"content-type", b"text/plain"),
            (b"content-length", b"%d" % len(NOT_UPGRADED)),
            (b"upgrade", b"websocket"),
        ]
        await send({"type": "http.response.start", "status": UPGRADE_REQUIRED, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else NOT_UPGRADED
        await send({"type": "http.response.body", "body": body})
