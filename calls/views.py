"""The pages: live dashboard, login and logout."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calls.identity import KINDS
from calls.live_alarms import WORDS
from calls.live_calls import stored_live_calls


@never_cache
@require_safe
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """First paint: what the database knows. The live socket takes over from there (calls/consumers.py)."""
    now = datetime.now(UTC)
    calls = stored_live_calls(now)
    context: dict[str, Any] = {
        "calls": calls,
        "participant_count": sum(len(call["participants"]) for call in calls),
        "kinds": KINDS,
        "alarm_words": WORDS,
        "now": now.isoformat(),
    }
    return render(request, "calls/dashboard.html", context)


login = LoginView.as_view(template_name="pages/login.html", redirect_authenticated_user=True)
logout = LogoutView.as_view()
