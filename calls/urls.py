"""The pages of operators. REST is in calls/api/urls.py."""

from __future__ import annotations

from django.urls import path

from calls import views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
]
