"""The browser's sockets as ASGI applications: from a page of ours, by somebody logged in, both
before accept.
"""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack

from calls.listen.consumer import ListenConsumer, ListenerSlots
from calls.live.consumer import LiveConsumer
from calls.live.origin import SameOrigin

live_socket: Any = SameOrigin(AuthMiddlewareStack(LiveConsumer.as_asgi()))
"""For the path `ws/live`. Never around ACS's socket: ACS sends no Origin and has no cookies."""

listen_socket: Any = SameOrigin(AuthMiddlewareStack(ListenConsumer.as_asgi(places=ListenerSlots())))
"""For the path `ws/listen/<uuid:call_id>`."""
