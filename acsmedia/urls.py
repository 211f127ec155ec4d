"""All addresses that are answered over HTTP; the two WebSocket addresses are in `acsmedia/asgi.py`."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from acsmedia.health import healthz, readyz
from acsmedia.metrics import metrics

urlpatterns = [
    path("", include("calls.urls")),
    path("api/", include("calls.api.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]
