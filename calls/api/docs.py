"""The OpenAPI schema and its page. The page keeps the strict CSP: no CDN, no inline script, no
inline style.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAuthenticated


class Schema(SpectacularAPIView):
    """OpenAPI 3, as YAML, or JSON with `?format=json` or `Accept: application/json`."""


class Docs(SpectacularSwaggerSplitView):
    url_name = "api:schema"
    template_name = "api/docs.html"

    def handle_exception(self, error: Exception) -> Any:
        """Redirects a browser without a session to the login page, which leads back here."""
        if isinstance(error, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(error)
