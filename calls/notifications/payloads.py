"""The `data` of events about calls: the call as in REST, with links; details of alarms."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import get_script_prefix
from rest_framework.renderers import JSONRenderer

from calls.models import Call, database_now
from calls.serializers import CallSerializer
from calls.wording import refusal_text


def call_payloads(call_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """Returns the payload of each call that exists, in a constant number of queries."""
    calls = Call.objects.filter(pk__in=call_ids).for_rest(database_now())
    return {call.pk: {**_as_json(call), "links": links_of(call.pk)} for call in calls}


def links_of(call_id: UUID) -> dict[str, str]:
    """Returns the addresses of a call. Without `PUBLIC_URL` they begin with the path."""
    # Not `reverse`: it would load all pages and the admin into the sealer's process.
    root = f"{settings.PUBLIC_URL}{get_script_prefix()}"
    rest = f"{root}api/v1/calls/{call_id}/"
    return {
        "page": f"{root}calls/{call_id}/",
        "call": rest,
        "audio": f"{rest}audio",
        "manifest": f"{rest}manifest",
        "segments": f"{rest}segments/",
    }


def _as_json(call: Call) -> dict[str, Any]:
    """Returns the JSON of REST: ids and times as text."""
    data: dict[str, Any] = json.loads(JSONRenderer().render(CallSerializer(call).data))
    return data


def refusal_detail(counts: Mapping[str, int]) -> dict[str, Any]:
    """Returns the `detail` of the alarm that ACS is being refused: reasons, the most frequent
    first, and the address of the list of refused handshakes.
    """
    reasons = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    words = [f"{refusal_text(reason)} ({count})" for reason, count in reasons]
    root = f"{settings.PUBLIC_URL}{get_script_prefix()}"
    return {
        "reasons": dict(reasons),
        "text": ", ".join(words),
        "list": f"{root}admin/calls/refusedhandshake/?from_acs__exact=1",
    }
