"""Decorators of page views: method, login, permissions and caching."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calls.permissions import Needed, missing, refusal, remedy

View = Callable[..., HttpResponseBase]


def permitted(needed: Needed) -> Callable[[View], View]:
    """Requires a login (else redirects to it) and all the permissions (else answers 403)."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
            if permission := missing(request.user, needed):
                raise PermissionDenied(f"{refusal(permission)} {remedy(permission)}")
            return view(request, *arguments, **named)

        decorated: View = login_required(checked)
        return decorated

    return decorate


def page(needed: Needed) -> Callable[[View], View]:
    """Makes a view a page: for permitted users, GET and HEAD only, stored by no cache."""

    def decorate(view: View) -> View:
        decorated: View = never_cache(require_safe(permitted(needed)(view)))
        return decorated

    return decorate
