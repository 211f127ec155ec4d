"""The browser's socket as an ASGI application: from a page of ours, by somebody logged in, both before accept."""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack

from calls.consumers import LiveConsumer
from calls.origin import SameOrigin

live_socket: Any = SameOrigin(AuthMiddlewareStack(LiveConsumer.as_asgi()))
"""For the path `ws/live`. Never around ACS's socket: ACS sends no Origin and has no cookies."""
