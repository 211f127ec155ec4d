"""The pages of operators. REST is in calls/api/urls.py."""

from __future__ import annotations

from django.urls import path

from calls.pages import call_list, call_page
from calls.pages import dashboard as views
from calls.pages import zip_download as call_zip

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("calls/", call_list.call_list, name="calls"),
    path("calls.csv", call_list.call_csv, name="calls-csv"),
    path("calls.zip", call_zip.call_zip, name="calls-zip"),
    path("calls/<uuid:pk>/", call_page.call_page, name="call"),
    path("calls/<uuid:pk>/timeline", call_page.call_timeline, name="call-timeline"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("password/", views.password, name="password"),
    path("password/changed/", views.password_changed, name="password-changed"),
]
