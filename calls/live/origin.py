"""Origin check of a WebSocket handshake: browsers send cookies with the sockets of any page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from calls.live.sockets import NotAllowed


class SameOrigin:
    """ASGI middleware: closes before accept unless Origin is this host or in CSRF_TRUSTED_ORIGINS.

    Stricter than the validator of Channels, which accepts any origin in ALLOWED_HOSTS, and with "*"
    any origin at all.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if is_same_origin(scope):
            await self._application(scope, receive, send)
            return
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": NotAllowed.code})


def is_same_origin(scope: dict[str, Any]) -> bool:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    origin, host = headers.get(b"origin", ""), headers.get(b"host", "")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    allowed_hosts = settings.ALLOWED_HOSTS or (
        [".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else []
    )
    if not validate_host(split_domain_port(host)[0], allowed_hosts):
        return False
    is_secure = scope.get("scheme") in ("wss", "https")
    if settings.SECURE_PROXY_SSL_HEADER:  # as in `HttpRequest.is_secure`: a proxy terminates TLS
        name, value = settings.SECURE_PROXY_SSL_HEADER
        header = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower().encode())
        if header is not None:
            is_secure = header == value  # `acsmedia.servers.proxies` has made it plain
    own = f"{'https' if is_secure else 'http'}://{host}"
    return _parts_of(origin) is not None and _parts_of(origin) == _parts_of(own)


def _parts_of(origin: str) -> tuple[str, str, int] | None:
    """Returns scheme, host and port (the scheme's default if none is given), or None for text that
    is no origin ("null", "").
    """
    try:
        url = urlsplit(origin)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    except ValueError:
        return None
    return (url.scheme, url.hostname, port) if url.hostname and port else None
