"""The calls that are live in the database, as REST shows them: first paint and snapshot begin with
them.
"""

from __future__ import annotations

from datetime import datetime

from calls.live.view import Call as ShownCall
from calls.models import Call
from calls.serializers import CallSerializer


def stored_live_calls(now: datetime) -> list[ShownCall]:
    """Newest first. Raises django.db.Error when the database is away."""
    calls = Call.objects.for_rest(now).live(now).order_by("-started_at", "-id")
    return [dict(call) for call in CallSerializer(calls, many=True).data]
