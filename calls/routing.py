"""The browser's sockets as ASGI applications; origin and login are checked before accept."""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack

from calls.listen.consumer import ListenConsumer, ListenerSlots
from calls.live.consumer import LiveConsumer
from calls.live.origin import SameOrigin

live_socket: Any = SameOrigin(AuthMiddlewareStack(LiveConsumer.as_asgi()))
"""For the path `ws/live`. Never wrap ACS's socket like this: ACS sends no Origin and no cookies."""

listen_socket: Any = SameOrigin(AuthMiddlewareStack(ListenConsumer.as_asgi(slots=ListenerSlots())))
"""For the path `ws/listen/<uuid:call_id>`."""
