"""URLs of the overview, below `admin/overview/`."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from calls.admin.overview import page

urlpatterns = [
    path("", admin.site.admin_view(page.overview), name="admin-overview"),
    path("retry", admin.site.admin_view(page.retry), name="admin-retry"),
    path("sweep", admin.site.admin_view(page.sweep), name="admin-sweep"),
]
