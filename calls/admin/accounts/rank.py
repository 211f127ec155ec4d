"""Which accounts an administrator may change: those without a permission that they lack.

Django's own admin lets every holder of `auth.change_user` make superusers.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet


def permissions_of(user: Any) -> QuerySet[Permission]:
    """Returns the permissions of a user, also of an inactive one."""
    if user.is_superuser:
        return Permission.objects.all()
    granted = Q(pk__in=user.user_permissions.values("pk")) | Q(group__in=user.groups.all())
    return Permission.objects.filter(granted).distinct()


def is_within(permissions: QuerySet[Permission], administrator: Any) -> bool:
    """Whether the administrator has all of these permissions."""
    return not permissions.exclude(pk__in=permissions_of(administrator).values("pk")).exists()


def may_change(administrator: Any, account: Any) -> bool:
    """Whether the administrator may change this account: its password, its groups, its token."""
    if administrator.is_superuser:
        return True
    return not account.is_superuser and is_within(permissions_of(account), administrator)


def groups_within(administrator: Any) -> QuerySet[Group]:
    """Returns the groups that the administrator may give to others."""
    beyond = Permission.objects.exclude(pk__in=permissions_of(administrator).values("pk"))
    return Group.objects.exclude(permissions__in=beyond)
