"""Users with permissions, for tests."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User


def person(name: str, *codenames: str, **values: Any) -> User:
    """Creates a user with the given permissions of `calls`, or with all if none is given."""
    user = User.objects.create_user(name, **values)
    allowed = Permission.objects.filter(content_type__app_label="calls")
    user.user_permissions.set(allowed.filter(codename__in=codenames) if codenames else allowed)
    return user
