"""The page between an action in a list and what it does: a text, and a form with a reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


def ask(
    admin: Any,
    request: HttpRequest,
    form: forms.Form,
    ids: list[Any],
    *,
    action: str,
    title: str,
    text: str,
    button: str,
) -> HttpResponse:
    """Returns the page; its form sends `action` again, with the same rows."""
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "subtitle": None,
        "opts": admin.opts,
        "media": admin.media,
        "text": text,
        "form": form,
        "ids": ids,
        "action": action,
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
        "button": button,
    }
    request.current_app = admin.admin_site.name
    return TemplateResponse(request, "admin/calls/retention/reason.html", context)
