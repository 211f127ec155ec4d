"""The ASGI application of the tutorial."""

from __future__ import annotations

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()  # before imports that need the app registry

from bench.tutorial.consumers import DashboardConsumer, MediaConsumer

# Typed Any in effect because `path` is typed for views; URLRouter takes ASGI applications.
sockets = [
    path("ws/acs/media", MediaConsumer.as_asgi()),
    path("ws/live", DashboardConsumer.as_asgi()),
]
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(sockets)})
