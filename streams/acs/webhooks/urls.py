"""Addresses of the webhooks, below `/webhooks/acs/`."""

from __future__ import annotations

from django.urls import path

from streams.acs.webhooks.views import callbacks, events

urlpatterns = [
    path("callbacks", callbacks, name="acs-callbacks"),
    path("events", events, name="acs-events"),
]
