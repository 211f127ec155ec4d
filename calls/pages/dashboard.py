"""The live dashboard, and the pages for login, logout and password."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.views import (
    LoginView,
    LogoutView,
    PasswordChangeDoneView,
    PasswordChangeView,
)
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy

from calls.identity import KINDS
from calls.live.stored import stored_live_calls
from calls.models import database_now
from calls.pages.decorators import page
from calls.permissions import TO_HANDLE_ALARMS, TO_LISTEN, TO_SEE, TO_SEE_REFUSALS, missing
from calls.wording import ALARM_SEVERITIES, ALARMS, REFUSALS


def may_list_refusals(user: Any) -> bool:
    """Returns whether the user can open their list in the admin."""
    return user.is_staff and not missing(user, TO_SEE_REFUSALS)


@page(TO_SEE)
def dashboard(request: HttpRequest) -> HttpResponse:
    """First paint, from the database. The live socket (calls/live/consumer.py) keeps it up to
    date.
    """
    now = datetime.now(UTC)
    stored, choice = stored_live_calls(database_now()), request.GET.get("canaries")
    counted = [call for call in stored if not call["canary"]]
    calls = stored if choice in {"shown", "only"} else counted
    context: dict[str, Any] = {
        "calls": calls,
        "call_count": len(counted),
        "participant_count": sum(len(call["participants"]) for call in counted),
        "kinds": KINDS,
        "alarm_words": ALARMS,
        "alarm_severities": ALARM_SEVERITIES,
        "refusal_words": REFUSALS,
        "now": now.isoformat(),
        "may_listen": not missing(request.user, TO_LISTEN),
        "may_handle_alarms": not missing(request.user, TO_HANDLE_ALARMS),
        "may_list_refusals": may_list_refusals(request.user),
    }
    return render(request, "calls/dashboard.html", context)


login = LoginView.as_view(template_name="pages/login.html", redirect_authenticated_user=True)
logout = LogoutView.as_view()
password = PasswordChangeView.as_view(
    template_name="pages/password.html",
    success_url=reverse_lazy("password-changed"),
    extra_context={"is_done": False},
)
password_changed = PasswordChangeDoneView.as_view(
    template_name="pages/password.html", extra_context={"is_done": True}
)
