"""The account that reads canary calls in REST: one permission, no password."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.db import transaction
from rest_framework.authtoken.models import Token

from calls.permissions import TO_SEE, missing

NAME = "acsmedia-canary"


class UnexpectedAccount(Exception):
    """An account of this name may see calls of people."""


def key_of_account() -> str:
    """Returns the account's key of REST; makes account and key if there are none.

    An existing account is left as it is: an administrator may have disabled it. Raises
    `UnexpectedAccount`: its key would open more than canary calls.
    """
    with transaction.atomic():
        account, is_new = User.objects.get_or_create(username=NAME)
        if is_new:
            account.set_unusable_password()
            account.save(update_fields=["password"])
            account.user_permissions.add(
                Permission.objects.get(codename="read_canaries", content_type__app_label="calls")
            )
        elif not missing(account, TO_SEE):
            raise UnexpectedAccount(f"The account {NAME} must not have the permission {TO_SEE[0]}.")
        token, _is_new = Token.objects.get_or_create(user=account)
    key: str = token.key
    return key
