"""Users and groups: an administrator may give away what they have, and change nobody above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import admin as django_admin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from calls.admin.accounts import rank

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _UserAdmin = django_admin.UserAdmin[Any]
else:
    _ModelAdmin, _UserAdmin = admin.ModelAdmin, django_admin.UserAdmin

admin.site.unregister([User, Group])


class _WithinOwnPermissions(_ModelAdmin):
    """Offers only permissions and groups that the administrator has."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        own: QuerySet[Any]
        if db_field.name == "groups":
            own = rank.groups_within(request.user)
        else:
            own = rank.permissions_of(request.user)
        field.queryset = field.queryset.filter(pk__in=own.values("pk"))
        return field


@admin.register(User)
class AccountAdmin(_WithinOwnPermissions, _UserAdmin):
    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allows the filters of the list only. `?auth_token__key__startswith=` would tell the keys
        of REST, one digit after the other.
        """
        return lookup.split("__", maxsplit=1)[0] in self.list_filter and super().lookup_allowed(
            lookup, value, request
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or rank.may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or rank.may_change(request.user, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser")


@admin.register(Group)
class AccountGroupAdmin(_WithinOwnPermissions, django_admin.GroupAdmin):  # type: ignore[misc]
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or rank.is_within(obj.permissions.all(), request.user))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or rank.is_within(obj.permissions.all(), request.user))
