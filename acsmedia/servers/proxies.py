"""Headers and paths from proxies, in the form that Django understands."""

from __future__ import annotations

from typing import Any

PROTO = b"x-forwarded-proto"
SECURE = {b"https", b"wss"}


def with_plain_proto(scope: dict[str, Any]) -> dict[str, Any]:
    """Returns the scope of a request or socket with `X-Forwarded-Proto: https` or `http`.

    Proxies write `HTTPS`, `wss`, or a list of which the first is the client's. Django compares
    with "https" only. A client without a proxy that sends it fools nobody but itself.
    """
    if scope["type"] not in {"http", "websocket"}:
        return scope
    values = [value for name, value in scope["headers"] if name.lower() == PROTO]
    if not values:
        return scope
    first = values[0].split(b",")[0].strip().lower()
    others = [header for header in scope["headers"] if header[0].lower() != PROTO]
    return {**scope, "headers": [*others, (PROTO, b"https" if first in SECURE else b"http")]}


def with_prefix(scope: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Returns the scope of a request or socket below `prefix` ("/acs"), "" for none.

    It does not matter whether the proxy has removed the prefix from the path. Probes come without
    it, past the proxy.
    """
    if not prefix or scope["type"] not in {"http", "websocket"}:
        return scope
    path = scope["path"].removeprefix(prefix)
    if not path.startswith("/") and path != "":  # the prefix was a part of a name: /acsmedia
        path = scope["path"]
    return {**scope, "path": prefix + (path or "/"), "root_path": prefix}
