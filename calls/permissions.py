"""Permissions that each access needs: one table for pages, REST and sockets (docs/security.md).

Every door asks here, and each permission that it needs is in its line of the table: none implies
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

SEE, HEAR, EXPORT, LISTEN = (
    "calls.view_call",
    "calls.hear_recording",
    "calls.export_recording",
    "calls.listen_live",
)
READ_CANARIES = "calls.read_canaries"
"""Instead of the others, for the account of `manage.py canary`: it can read nothing else."""

HANDLE_ALARMS = "calls.change_raisedalarm"
STATE = "calls.add_expectedcall"
"""For the account of another system, which needs no other permission."""

SEE_REFUSALS = "calls.view_refusedhandshake"
SEE_AUDIT = "calls.view_auditentry"
"""For auditors, who need not see calls."""

NAME = "calls.change_participant"
SET_HOLDS, LIFT_HOLDS = "calls.set_legalhold", "calls.lift_legalhold"

Needed = tuple[str, ...]
"""Permissions, of which a user needs all."""

_GROUPS = {
    SEE: "Viewers",
    HEAR: "Listeners",
    LISTEN: "Listeners",
    EXPORT: "Exporters",
    HANDLE_ALARMS: "Listeners",
    SEE_REFUSALS: "Viewers",
    SEE_AUDIT: "Auditors",
    STATE: "Administrators",
    NAME: "Administrators",
    SET_HOLDS: "Administrators",
    LIFT_HOLDS: "Administrators",
}
"""The smallest group with the permission (calls/migrations/0008_groups.py, 0019, 0022 and 0025)."""

TO_SEE: Needed = (SEE,)
TO_HEAR: Needed = (SEE, HEAR)
TO_LISTEN: Needed = (SEE, LISTEN)
TO_EXPORT: Needed = (SEE, HEAR, EXPORT)
TO_EXPORT_LISTS: Needed = (SEE, EXPORT)
TO_SEE_REFUSALS: Needed = (SEE, SEE_REFUSALS)
TO_SEE_AUDIT: Needed = (SEE_AUDIT,)
TO_STATE: Needed = (STATE,)
TO_NAME: Needed = (SEE, NAME)
TO_SET_HOLDS: Needed = (SEE, SET_HOLDS)
TO_LIFT_HOLDS: Needed = (SEE, LIFT_HOLDS)
TO_HANDLE_ALARMS: Needed = (SEE, HANDLE_ALARMS)
TO_READ_CANARIES: Needed = (READ_CANARIES,)


def to_get_audio(*, is_live: bool, download: bool = False) -> Needed:
    """Returns what the audio of a call needs: while the call is live, it is listening in, too."""
    needed = TO_EXPORT if download else TO_HEAR
    return (*needed, LISTEN) if is_live else needed


def missing(user: Any, needed: Sequence[str]) -> str:
    """Returns the first of these permissions that the user lacks; "" if there is none."""
    if not (user and user.is_authenticated):
        return needed[0]
    return next((permission for permission in needed if not user.has_perm(permission)), "")


def is_for_canaries(user: Any) -> bool:
    """Returns whether the user may read canary calls and no others."""
    return bool(missing(user, TO_SEE)) and not missing(user, TO_READ_CANARIES)


def require(user: Any, needed: Sequence[str]) -> None:
    """Raises DRF's `PermissionDenied`, which names the permission that the user lacks."""
    if permission := missing(user, needed):
        raise PermissionDenied(refusal(permission))


def refusal(permission: str) -> str:
    """Returns the text of a 403."""
    return f"Your account lacks the permission {permission}."


def remedy(permission: str) -> str:
    """Returns who can help, and how."""
    return f"An administrator can put it into the group {_GROUPS[permission]}."


class _Requires(BasePermission):
    """REST asks anonymous users to log in instead of refusing them."""

    needed: Needed = ()
    message = ""

    def has_permission(self, request: Request, _view: Any) -> bool:
        permission = missing(request.user, self.needed)
        self.message = refusal(permission)
        return not permission


class MaySee(_Requires):
    """Required for all of REST except audio."""

    needed = TO_SEE


class MaySeeOrReadCanaries(MaySee):
    """Required for lists and facts of calls; the view leaves out all other calls."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) or is_for_canaries(request.user)


class MaySeeRefusals(_Requires):
    """Required for refused handshakes: they have addresses of clients."""

    needed = TO_SEE_REFUSALS


class MaySeeAudit(_Requires):
    """Required for the audit, which names calls and people but has no audio."""

    needed = TO_SEE_AUDIT


class MayState(_Requires):
    """Required for saying that a call took place."""

    needed = TO_STATE


class MayName(_Requires):
    """Required for naming participants."""

    needed = TO_NAME


class MaySetHolds(_Requires):
    """Required for setting legal holds."""

    needed = TO_SET_HOLDS


class MayLiftHolds(_Requires):
    """Required for lifting legal holds."""

    needed = TO_LIFT_HOLDS


class MayHear(_Requires):
    """Required for audio, to play and to download; live calls and downloads need more."""

    needed = TO_HEAR


class MayHearOrReadCanaries(MayHear):
    """Required for the audio of calls; the view leaves out all other calls."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) or is_for_canaries(request.user)
