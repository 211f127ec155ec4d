"""The live calls in the database, in their REST form: the basis of first paint and snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.db.models.functions import Now

from calls.live.messages import CallData
from calls.models import Call
from calls.serializers import CallSerializer


def stored_live_calls(now: datetime | Now) -> list[CallData]:
    """Returns the live calls, newest first. Raises `django.db.Error` if the database is
    unreachable.
    """
    calls = Call.objects.for_rest(now).live(now).order_by("-started_at", "-id")
    return [cast("CallData", dict(call)) for call in CallSerializer(calls, many=True).data]
