"""Tokens of REST: the key is shown once, when it is made, to an administrator who may change the
account.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest
from rest_framework.authtoken import admin as drf_admin
from rest_framework.authtoken.models import Token, TokenProxy

from calls.admin.accounts import rank


def _name_of(token: Token) -> str:
    return f"Token of {token.user}"


# Titles, confirmations, and Django's log of changes print a token, which is its key otherwise.
TokenProxy.__str__ = _name_of  # type: ignore[assignment,method-assign]

admin.site.unregister(TokenProxy)


@admin.register(TokenProxy)
class TokenAdmin(drf_admin.TokenAdmin):
    list_display = ("user", "created")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allows none: `?key__startswith=` would tell the keys, one digit after the other."""
        return lookup in self.list_filter and super().lookup_allowed(lookup, value, request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing can be changed: a token has no other fields."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return bool(may and (obj is None or rank.may_change(request.user, obj.user)))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            without = User.objects.filter(auth_token=None).order_by("username")
            within = [user.pk for user in without if rank.may_change(request.user, user)]
            kwargs["queryset"] = without.filter(pk__in=within)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        super().save_model(request, obj, form, change)
        text = f"The token of {obj.user} is {obj.key} - copy it now: it is not shown again."
        self.message_user(request, text, messages.WARNING)
