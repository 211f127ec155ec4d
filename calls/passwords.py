"""A new password ends the token of its user: who knew the old one may have read the token, too."""

from __future__ import annotations

from typing import Any

from rest_framework.authtoken.models import Token


class EndToken:
    """A password validator that accepts every password.

    Django calls `password_changed` when a password was changed on any way, and not when a login
    only renews its hash.
    """

    def validate(self, password: str, user: Any = None) -> None:
        """Accepts every password."""

    def get_help_text(self) -> str:
        return "A new password ends your token for REST."

    def password_changed(self, password: str, user: Any = None) -> None:
        Token.objects.filter(user=user).delete()
