"""The pages: live dashboard, login, logout and password."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.views import (
    LoginView,
    LogoutView,
    PasswordChangeDoneView,
    PasswordChangeView,
)
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calls.identity import KINDS
from calls.live.stored import stored_live_calls
from calls.permissions import LISTEN, SEE
from calls.wording import ALARMS


@never_cache
@require_safe
@login_required
@permission_required(SEE, raise_exception=True)
def dashboard(request: HttpRequest) -> HttpResponse:
    """First paint: what the database knows. The live socket takes over from there
    (calls/live/consumer.py).
    """
    now = datetime.now(UTC)
    calls = stored_live_calls(now)
    context: dict[str, Any] = {
        "calls": calls,
        "participant_count": sum(len(call["participants"]) for call in calls),
        "kinds": KINDS,
        "alarm_words": ALARMS,
        "now": now.isoformat(),
        "may_listen": request.user.has_perm(LISTEN),
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
