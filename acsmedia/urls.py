"""All addresses that are answered over HTTP; the two WebSocket addresses are in
`acsmedia/asgi.py`.
"""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from acsmedia.monitoring.health import healthz, readyz
from acsmedia.monitoring.metrics import metrics
from calls.api.evidence_keys import evidence_keys

urlpatterns = [
    path("", include("calls.pages.urls")),
    path("api/", include("calls.api.urls")),
    path("admin/overview/", include("calls.admin.overview.urls")),
    path("admin/", admin.site.urls),
    # Pages that are not ours (admin, API) name no icon, and browsers then ask for this one.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("calls/icon.svg"))),
    path(".well-known/acsmedia-keys.json", evidence_keys),
    path("webhooks/acs/", include("streams.acs.webhooks.urls")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]
