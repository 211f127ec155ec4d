"""Permissions of pages, REST and sockets; docs/security.md lists them with the four groups."""

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


class _RequiresPermission(BasePermission):
    permission = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(
            request.user
            and request.user.is_authenticated
            and request.user.has_perm(self.permission)
        )

    @property
    def message(self) -> str:
        """Returns the text of a 403. REST asks anonymous users to log in instead."""
        return f"Your account lacks the permission {self.permission}."


class MaySee(_RequiresPermission):
    """Required for all of REST except audio."""

    permission = SEE


class MayHear(_RequiresPermission):
    """Required for audio, to play and to download: audio that can be played can be kept."""

    permission = HEAR
