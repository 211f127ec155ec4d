"""`/.well-known/acsmedia-keys.json`: the public keys of the installation, open to everybody."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from calls.evidence.keys import published


@require_safe
def evidence_keys(_request: HttpRequest) -> JsonResponse:
    return JsonResponse(published(), headers={"Cache-Control": "public, max-age=300"})
