"""Who may what: three permissions besides Django's own, and four groups that have them
(docs/security.md).
"""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

SEE, HEAR, EXPORT, LISTEN = (
    "calls.view_call",
    "calls.hear_recording",
    "calls.export_recording",
    "calls.listen_live",
)


class _Needs(BasePermission):
    permission = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(
            request.user
            and request.user.is_authenticated
            and request.user.has_perm(self.permission)
        )

    @property
    def message(self) -> str:
        """What a refusal says; of somebody who is not logged in REST says that instead."""
        return f"Your account lacks the permission {self.permission}."


class MaySee(_Needs):
    """All of REST but audio."""

    permission = SEE


class MayHear(_Needs):
    """Audio: who hears it may keep it."""

    permission = HEAR
