"""Decorators of page views: method, login, permissions and caching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calls.permissions import Needed

View = Callable[..., HttpResponseBase]


def permitted(needed: Needed) -> Callable[[View], View]:
    """Requires a login (else redirects to it) and all the permissions (else answers 403)."""
    require_permissions: Any = permission_required(needed, raise_exception=True)

    def decorate(view: View) -> View:
        decorated: View = login_required(require_permissions(view))
        return decorated

    return decorate


def page(needed: Needed) -> Callable[[View], View]:
    """Makes a view a page: for permitted users, GET and HEAD only, stored by no cache."""

    def decorate(view: View) -> View:
        decorated: View = never_cache(require_safe(permitted(needed)(view)))
        return decorated

    return decorate
